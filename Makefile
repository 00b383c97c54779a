# make quickstart           pre-train, fine-tune, evaluate and predict on generated films (10 minutes on 2 cores, downloads apart)
# make quickstart TASK=ct   the same on generated abdominal CT
# make test                 ruff, mypy and the whole test suite
PYTHON ?= python3
TASK ?= cxr
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: quickstart quickstart-cxr quickstart-ct test clean

quickstart: quickstart-$(TASK)

$(INSTALLED): setup.cfg constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -c constraints.txt torch
	$(PY) -m pip install -q -c constraints.txt -e ".[test]"
	$(PY) -m pip install -q -c constraints.txt --no-deps timm torchvision
	touch $@

CXR := bundles/cxr_mae_pretraining
CXR_RUN := runs/cxr
CXR_ARGS := --bundle_root $(CXR) --dataset_dir $(CXR_RUN)/films --ckpt_dir $(CXR_RUN)/models

CLS := bundles/cxr_disease_classification
CLS_ARGS := --bundle_root $(CLS) --dataset_dir $(CXR_RUN)/films --ckpt_dir $(CXR_RUN)/classifier/models

quickstart-cxr: $(INSTALLED)
	$(PY) -m monai_mae_ext phantoms --out_dir $(CXR_RUN)/films --n_films 400 --size 256
	$(PY) -m monai.bundle run training --config_file "['$(CXR)/configs/train.json','$(CXR)/configs/quick.json']" $(CXR_ARGS) --output_dir $(CXR_RUN)/train
	$(PY) -m monai.bundle run evaluating --config_file "['$(CXR)/configs/train.json','$(CXR)/configs/quick.json','$(CXR)/configs/evaluate.json']" $(CXR_ARGS) --output_dir $(CXR_RUN)/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(CXR)/configs/inference.json','$(CXR)/configs/quick.json']" $(CXR_ARGS) --section test --output_dir $(CXR_RUN)/reconstructions
	$(PY) -m monai_mae_ext export --ckpt_dir $(CXR_RUN)/models --out $(CXR_RUN)/encoder.safetensors
	$(PY) -m monai.bundle run training --config_file "['$(CLS)/configs/train.json','$(CLS)/configs/quick.json']" $(CLS_ARGS) --output_dir $(CXR_RUN)/classifier/train --pretrained $(CXR_RUN)/encoder.safetensors
	$(PY) -m monai.bundle run evaluating --config_file "['$(CLS)/configs/train.json','$(CLS)/configs/quick.json','$(CLS)/configs/evaluate.json']" $(CLS_ARGS) --output_dir $(CXR_RUN)/classifier/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(CLS)/configs/inference.json','$(CLS)/configs/quick.json']" $(CLS_ARGS) --section test --output_dir $(CXR_RUN)/classifier/predictions --refuse_unfamiliar False
	@echo "phantoms          $(CXR_RUN)/films/contact_sheet.png"
	@echo "learning curves   $(CXR_RUN)/train/learning_curves.png"
	@echo "panels            $(CXR_RUN)/train/panels, $(CXR_RUN)/reconstructions/images"
	@echo "findings          $(CXR_RUN)/classifier/predictions: predictions.csv, saliency overlays in images/"
	@echo "classifier        $(CXR_RUN)/classifier/evaluate: evaluation.json, per_class.csv, roc.png, reliability.png"
	@echo "numbers           $(CXR_RUN)/train/history.csv, $(CXR_RUN)/evaluate/per_image.csv, $(CXR_RUN)/evaluate/evaluation.json:"
	@cat $(CXR_RUN)/evaluate/evaluation.json

CT := bundles/ct_superpatch_pretraining
CT_RUN := runs/ct
CT_ARGS := --bundle_root $(CT) --dataset_dir $(CT_RUN)/scans --ckpt_dir $(CT_RUN)/models

SEG := bundles/ct_multiorgan_segmentation
SEG_ARGS := --bundle_root $(SEG) --dataset_dir $(CT_RUN)/scans --ckpt_dir $(CT_RUN)/segmenter/models

quickstart-ct: $(INSTALLED)
	$(PY) -m monai_mae_ext ct_phantoms --out_dir $(CT_RUN)/scans --n_volumes 24
	$(PY) -m monai.bundle run training --config_file "['$(CT)/configs/train.json','$(CT)/configs/quick.json']" $(CT_ARGS) --output_dir $(CT_RUN)/train
	$(PY) -m monai.bundle run evaluating --config_file "['$(CT)/configs/train.json','$(CT)/configs/quick.json','$(CT)/configs/evaluate.json']" $(CT_ARGS) --output_dir $(CT_RUN)/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(CT)/configs/inference.json','$(CT)/configs/quick.json']" $(CT_ARGS) --section test --output_dir $(CT_RUN)/reconstructions
	$(PY) -m monai_mae_ext export --ckpt_dir $(CT_RUN)/models --out $(CT_RUN)/encoder.safetensors
	$(PY) -m monai.bundle run training --config_file "['$(SEG)/configs/train.json','$(SEG)/configs/quick.json']" $(SEG_ARGS) --output_dir $(CT_RUN)/segmenter/train --pretrained $(CT_RUN)/encoder.safetensors
	$(PY) -m monai.bundle run evaluating --config_file "['$(SEG)/configs/train.json','$(SEG)/configs/quick.json','$(SEG)/configs/evaluate.json']" $(SEG_ARGS) --output_dir $(CT_RUN)/segmenter/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(SEG)/configs/inference.json','$(SEG)/configs/quick.json']" $(SEG_ARGS) --section test --output_dir $(CT_RUN)/segmenter/segmentations
	@echo "phantoms          $(CT_RUN)/scans/contact_sheet.png"
	@echo "learning curves   $(CT_RUN)/train/learning_curves.png, $(CT_RUN)/segmenter/train/learning_curves.png"
	@echo "reconstructions   $(CT_RUN)/reconstructions: volumes as NIfTI, three-plane panels"
	@echo "segmentations     $(CT_RUN)/segmenter/segmentations: labels as NIfTI, overlays, volumes.csv"
	@echo "numbers           $(CT_RUN)/evaluate/evaluation.json, $(CT_RUN)/segmenter/evaluate: per_image.csv, per_class.csv:"
	@cat $(CT_RUN)/segmenter/evaluate/per_class.csv

test: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

clean:
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
