"""Writing reports word by word: greedy and beam search."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from monai.inferers import Inferer
from monai.networks.utils import eval_mode
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import Calibration
from monai_mae_ext.networks.cached_decoder import CachedDecoder
from monai_mae_ext.networks.report import ReportGenerator
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import ABSENT, BEGIN, END, PADDING

__all__ = ["GeneratedReports", "ReportInferer", "write_reports"]


class GeneratedReports(NamedTuple):
    """Reports of B studies, of at most L tokens.

    Attributes:
        findings: ``(B, F)``, probability that the report will say that each finding of the plan is there.
        tokens: int64 ``(B, L)``, without begin and plan; behind the end token padding.
        log_probabilities: ``(B, L)``, of each token given those before it; 0 at padding.
        attention: ``(B, L, V * N)``, how much cross attention each token gave to the tokens of the films.
        features: ``(B, hidden_size)``, the mean over the encoder's patch tokens.
    """

    findings: Tensor
    tokens: Tensor
    log_probabilities: Tensor
    attention: Tensor
    features: Tensor


class ReportInferer(Inferer):
    """``write_reports`` as MONAI's engines call it; what the batch holds beside the films is not looked at.

    Args:
        tokenizer, calibration, beams, max_length, length_penalty: as in ``write_reports``.
    """

    def __init__(
        self,
        tokenizer: ReportTokenizer,
        calibration: Calibration | None = None,
        beams: int = 3,
        max_length: int | None = None,
        length_penalty: float = 1.0,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "tokenizer": tokenizer, "calibration": calibration, "beams": beams, "max_length": max_length,
            "length_penalty": length_penalty,
        }  # fmt: skip

    def __call__(self, inputs: Tensor, network: ReportGenerator, *args: Any, **kwargs: Any) -> GeneratedReports:  # type: ignore[override]
        return write_reports(network, inputs, **self.settings)


@torch.no_grad()
def write_reports(
    network: ReportGenerator,
    image: Tensor,
    tokenizer: ReportTokenizer,
    calibration: Calibration | None = None,
    beams: int = 3,
    max_length: int | None = None,
    length_penalty: float = 1.0,
) -> GeneratedReports:
    """The most probable reports that a beam search finds, each behind a plan that is chosen finding by finding.

    A search over plans would rather leave findings out: what is there can be said in many ways, each of them less
    probable than the few ways of saying nothing.

    Args:
        network: is put into evaluation mode meanwhile.
        image: ``(B, V, *img_size)``.
        tokenizer: the network may have tokens beyond its own, which mean nothing.
        calibration: of the plan's findings: a temperature, and from which probability on each belongs into the plan;
            None for what is more probable than not.
        beams: texts that are pursued at a time; 1 is greedy search.
        max_length: words at most, full stops and the end token among them; None for as many as the network can.
        length_penalty: texts are ranked by their log-probability divided by their length to this power; 0 ranks by
            probability, which favours short reports.

    Raises:
        UserError: for fewer than one beam, a length that the network has no positions for, or probabilities that are
            not finite.
    """
    longest = network.facts["max_length"] - 1 - len(tokenizer.plan)
    max_length = longest if max_length is None else max_length
    if beams < 1 or not 1 <= max_length <= longest:
        raise UserError(f"beams is 1 or more and max_length 1 to {longest}, got {beams} and {max_length}: the network "
                        f"was built for reports of {longest} tokens")  # fmt: skip
    with eval_mode(network):
        features = network.features(image)
        search = BeamSearch(CachedDecoder(network.decoder, network.context(features)), len(image), tokenizer, beams)
        findings = search.make_plan(calibration or Calibration.neutral(tokenizer.findings))
        search.run(max_length)
        if not torch.isfinite(search.scores[:, 0]).all():
            raise UserError("the network's probabilities are not finite: its weights or a film are damaged")
        return GeneratedReports(findings, *search.best(length_penalty), features.mean(dim=(1, 2)))


class BeamSearch:
    """K texts for each of B images, all of the same number of steps; a text that has ended goes on with padding."""

    def __init__(self, decoder: CachedDecoder, batch: int, tokenizer: ReportTokenizer, beams: int) -> None:
        self.decoder, self.tokenizer, self.beams = decoder, tokenizer, beams
        device = decoder.context[0][0].device
        self.tokens = torch.full((batch, beams, 1), BEGIN, device=device)
        self.log_probabilities = torch.zeros(batch, beams, 0, device=device)
        self.attention: list[Tensor] = []
        self.scores = torch.full((batch, beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # at first all texts are one

    def make_plan(self, calibration: Calibration) -> Tensor:
        """Choose what all texts of an image are to say of each finding; returns probabilities ``(B, F)``."""
        probabilities = [self.scores.new_zeros(len(self.scores), 0)]
        for number, threshold in zip(self.tokenizer.plan, calibration.thresholds, strict=True):
            logits, _ = self.decoder.step(self.tokens[..., -1])
            present = calibration.apply(logits[..., number] - logits[..., ABSENT])
            least = math.inf if threshold is None else threshold
            self.tokens = torch.where(present >= least, number, ABSENT)[..., None]
            probabilities.append(present[:, :1])
        return torch.cat(probabilities, dim=1)

    def run(self, max_length: int) -> None:
        """Go on until every text has ended, or is ``max_length`` tokens long."""
        for _ in range(max_length):
            self.step()
            if self.ended().all():
                break

    def ended(self) -> Tensor:
        """``(B, K)``: which texts have ended."""
        return (self.tokens[..., -1] == END) | (self.tokens[..., -1] == PADDING)

    def step(self) -> None:
        logits, attention = self.decoder.step(self.tokens[..., -1])
        logits = logits[..., : len(self.tokenizer)].float()
        logits[..., self.tokenizer.forbidden] = -torch.inf
        if self.tokens.shape[-1] == 1:  # no report is empty
            logits[..., END] = -torch.inf
        steps = logits.log_softmax(dim=-1)
        ended = self.ended()
        steps = steps.masked_fill(ended[..., None], -torch.inf)
        steps[..., PADDING] = steps[..., PADDING].masked_fill(ended, 0.0)
        vocabulary = steps.shape[-1]
        self.scores, places = (self.scores[..., None] + steps).flatten(1).topk(self.beams)
        parents, chosen = places // vocabulary, places % vocabulary
        self.attention.append(attention.masked_fill(ended[..., None], 0.0))
        self.follow(parents)
        probabilities = steps.flatten(1).gather(1, places)[..., None]
        self.tokens = torch.cat([self.tokens, chosen[..., None]], dim=-1)
        self.log_probabilities = torch.cat([self.log_probabilities, probabilities], dim=-1)

    def follow(self, parents: Tensor) -> None:
        """Let each text descend from the one that ``parents (B, K)`` names."""
        if self.beams == 1:
            return
        rows = torch.arange(len(parents), device=parents.device)[:, None]
        self.tokens, self.log_probabilities = self.tokens[rows, parents], self.log_probabilities[rows, parents]
        self.attention = [attention[rows, parents] for attention in self.attention]
        self.decoder.reorder(parents)

    def best(self, length_penalty: float) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, log-probabilities and attention of each image's best text."""
        tokens = self.tokens[..., 1:]
        lengths = (tokens != PADDING).sum(-1)
        best = (self.scores / lengths**length_penalty).argmax(dim=1)
        rows = torch.arange(len(best), device=best.device)
        attention = torch.stack(self.attention, dim=2)
        return tokens[rows, best], self.log_probabilities[rows, best], attention[rows, best]
