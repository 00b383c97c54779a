# make quickstart           pre-train, fine-tune, evaluate and predict on generated films (10 minutes on 2 cores, downloads apart)
# make quickstart TASK=ct   the same on generated abdominal CT
# make quickstart TASK=mri  the same on generated brain MRI of four sequences
# make quickstart TASK=report   reports of generated chest films
# make release              pack the bundles with the weights of all four quickstarts, as a model zoo in dist/
# make test                 ruff, mypy and the whole test suite
# make test-clinic          what needs real servers: MONAI Label, Orthanc as a PACS, a browser (Debian packages, unpacked in .clinic/)
PYTHON ?= python3
TASK ?= cxr
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
CLINIC_PY := .clinic/venv/bin/python
PYTEST_OPTIONS := -n 2 --no-loadscope-reorder --hypothesis-profile=ci
comma := ,

.PHONY: quickstart quickstart-cxr quickstart-ct quickstart-mri quickstart-report release test test-clinic clean

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

REP := bundles/cxr_report_generation
REP_RUN := runs/report
# The sizes of the generator's quick.json, which are smaller than those of pre-training's.
REP_ENCODER := --network_def\#hidden_size 128 --network_def\#mlp_dim 512 --network_def\#num_layers 4 --network_def\#num_heads 4
REP_ARGS := --bundle_root $(REP) --dataset_dir $(REP_RUN)/films --ckpt_dir $(REP_RUN)/models

quickstart-report: $(INSTALLED)
	$(PY) -m monai_mae_ext phantoms --out_dir $(REP_RUN)/films --n_films 1000 --size 160
	$(PY) -m monai.bundle run training --config_file "['$(CXR)/configs/train.json','$(CXR)/configs/quick.json']" --bundle_root $(CXR) --dataset_dir $(REP_RUN)/films --ckpt_dir $(REP_RUN)/pretraining/models --output_dir $(REP_RUN)/pretraining/train --epochs 24 --warmup_epochs 3 --val_interval 6 $(REP_ENCODER)
	$(PY) -m monai_mae_ext export --ckpt_dir $(REP_RUN)/pretraining/models --out $(REP_RUN)/encoder.safetensors
	$(PY) -m monai.bundle run training --config_file "['$(REP)/configs/train.json','$(REP)/configs/quick.json']" $(REP_ARGS) --output_dir $(REP_RUN)/train --pretrained $(REP_RUN)/encoder.safetensors --epochs 24
	$(PY) -m monai.bundle run evaluating --config_file "['$(REP)/configs/train.json','$(REP)/configs/quick.json','$(REP)/configs/evaluate.json']" $(REP_ARGS) --output_dir $(REP_RUN)/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(REP)/configs/inference.json','$(REP)/configs/quick.json']" $(REP_ARGS) --section test --output_dir $(REP_RUN)/reports --refuse_unfamiliar False
	@echo "reports           $(REP_RUN)/reports: reports.csv, what cross attention looked at in images/"
	@echo "numbers           $(REP_RUN)/train/history.csv, $(REP_RUN)/evaluate: per_finding.csv, per_image.csv, evaluation.json:"
	@cat $(REP_RUN)/evaluate/evaluation.json

# Folder of the run, bundles of pre-training and of segmentation, and what writes the phantoms.
define segmentation_quickstart
	$(PY) -m monai_mae_ext $(4) --out_dir $(1)/scans
	$(PY) -m monai.bundle run training --config_file "['$(2)/configs/train.json','$(2)/configs/quick.json','$(2)/configs/predict_all.json']" --bundle_root $(2) --dataset_dir $(1)/scans --ckpt_dir $(1)/models --output_dir $(1)/train
	$(PY) -m monai.bundle run evaluating --config_file "['$(2)/configs/train.json','$(2)/configs/quick.json','$(2)/configs/predict_all.json','$(2)/configs/evaluate.json']" --bundle_root $(2) --dataset_dir $(1)/scans --ckpt_dir $(1)/models --output_dir $(1)/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(2)/configs/inference.json','$(2)/configs/quick.json','$(2)/configs/predict_all.json']" --bundle_root $(2) --dataset_dir $(1)/scans --ckpt_dir $(1)/models --section test --output_dir $(1)/reconstructions
	$(PY) -m monai_mae_ext export --ckpt_dir $(1)/models --out $(1)/encoder.safetensors
	$(PY) -m monai.bundle run training --config_file "['$(3)/configs/train.json','$(3)/configs/quick.json']" --bundle_root $(3) --dataset_dir $(1)/scans --ckpt_dir $(1)/segmenter/models --output_dir $(1)/segmenter/train --pretrained $(1)/encoder.safetensors
	$(PY) -m monai.bundle run evaluating --config_file "['$(3)/configs/train.json','$(3)/configs/quick.json','$(3)/configs/evaluate.json']" --bundle_root $(3) --dataset_dir $(1)/scans --ckpt_dir $(1)/segmenter/models --output_dir $(1)/segmenter/evaluate
	$(PY) -m monai.bundle run inferring --config_file "['$(3)/configs/inference.json','$(3)/configs/quick.json']" --bundle_root $(3) --dataset_dir $(1)/scans --ckpt_dir $(1)/segmenter/models --section test --output_dir $(1)/segmenter/segmentations
	@echo "phantoms          $(1)/scans/contact_sheet.png"
	@echo "learning curves   $(1)/train/learning_curves.png, $(1)/segmenter/train/learning_curves.png"
	@echo "reconstructions   $(1)/reconstructions: volumes as NIfTI, three-plane panels"
	@echo "segmentations     $(1)/segmenter/segmentations: labels as NIfTI, overlays, volumes.csv"
	@echo "numbers           $(1)/evaluate/evaluation.json, $(1)/segmenter/evaluate: per_image.csv, per_class.csv:"
	@cat $(1)/segmenter/evaluate/per_class.csv
endef

quickstart-ct: $(INSTALLED)
	$(call segmentation_quickstart,runs/ct,bundles/ct_superpatch_pretraining,bundles/ct_multiorgan_segmentation,ct_phantoms --n_volumes 24)

quickstart-mri: $(INSTALLED)
	$(call segmentation_quickstart,runs/mri,bundles/mri_tumor_pretraining,bundles/mri_tumor_segmentation,mri_phantoms --n_volumes 30)

# Bundle, its run (models/ and evaluate/), overlays, scans, a picture, and the data in words.
define pack
	$(PY) -m monai_mae_ext pack bundles/$(1) --out dist --weights $(2)/models --overlays $(3) --data_source "$(6) of no patient, made by this project; for trying out, not for use" --dataset_dir $(4) --evaluation $(2)/evaluate/evaluation.json --picture "$(firstword $(wildcard $(5)))"
endef

release: $(INSTALLED)
	$(call pack,cxr_mae_pretraining,runs/cxr,quick,runs/cxr/films,runs/cxr/reconstructions/images/*.png,generated chest films)
	$(call pack,cxr_disease_classification,runs/cxr/classifier,quick,runs/cxr/films,runs/cxr/classifier/predictions/images/*.png,generated chest films)
	$(call pack,cxr_report_generation,runs/report,quick,runs/report/films,runs/report/reports/images/*.png,generated chest films with reports)
	$(call pack,ct_superpatch_pretraining,runs/ct,"quick$(comma)predict_all",runs/ct/scans,runs/ct/reconstructions/imagesTs/*.png,generated abdominal CT)
	$(call pack,ct_multiorgan_segmentation,runs/ct/segmenter,quick,runs/ct/scans,runs/ct/segmenter/segmentations/imagesTs/*.png,generated abdominal CT)
	$(call pack,mri_tumor_pretraining,runs/mri,"quick$(comma)predict_all",runs/mri/scans,runs/mri/reconstructions/imagesTs/*.png,generated brain MRI)
	$(call pack,mri_tumor_segmentation,runs/mri/segmenter,quick,runs/mri/scans,runs/mri/segmenter/segmentations/imagesTs/*.png,generated brain MRI)
	@echo "zoo               dist: zips, index.html, model_info.json, SHA256SUMS"

test: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest $(PYTEST_OPTIONS)

test-clinic: $(INSTALLED)
	PYTHON=$(PYTHON) tests/clinic/setup.sh
	$(CLINIC_PY) -m pytest $(PYTEST_OPTIONS) tests/clinic tests/label

clean:
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
