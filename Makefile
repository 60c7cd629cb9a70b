# Two commands are enough: `make demo` and `make test`. Both set up .venv in this folder first.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := align,artifacts,bids,brain,cluster,dicom,diffusion,docs,evaluation,export,node,openvino,prepare,train,dev

.PHONY: demo test check docs results baselines ablations ablations-training flair matched unseen anyscan any-scan-results \
    reproduction mutants speed damaged brain clean
.DELETE_ON_ERROR:
.SECONDARY:

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

demo: .venv/installed
	$(BIN)/itermask demo demo-output

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site: open site/index.html. Nothing is fetched, and a warning is an error.
docs: .venv/installed
	$(BIN)/python -m sphinx -b html --fail-on-warning --quiet -c docs -d build/doctrees . site

# The tables of docs/results.md; DATA is the folder with ixi-t1, oasis-t1 and lesion-shapes, beside the checkout.
DATA ?= ../shared/data
TABLE := runs/ixi/table.tsv
TRAIN := $(BIN)/itermask train $(TABLE) --sequence T1w --data-name "IXI (Hammersmith), 2 mm" \
    --data-license "CC BY-SA 3.0" --data-source "brain-development.org, through the NiChart project" --license "CC BY-SA 3.0"
ROBUST := robust-z robust-z-dark white-matter-z white-matter-z-dark
BASELINES := inpainting denoising autoencoder denoising-2d autoencoder-2d intensity-bright intensity-dark $(ROBUST)
ABLATIONS := bundled-fixed-threshold
ARMS := default-masks no-full-masks ellipsoids-only voxel-ellipsoids no-guidance

$(TABLE): | .venv/installed
	$(BIN)/python scripts/ixi_table.py $(DATA)/ixi-t1 runs/ixi

results: runs/baselines/intensity-bright/done runs/baselines/intensity-dark/done $(ROBUST:%=runs/baselines/%/done)
	$(BIN)/itermask benchmark benchmarks/t1w.toml --out runs/t1w --insert docs/results.md

baselines: $(BASELINES:%=runs/baselines/%/done)
	$(BIN)/itermask benchmark benchmarks/baselines.toml --out runs/baselines --insert docs/results.md

ablations: $(ABLATIONS:%=runs/ablations/%/done) runs/baselines/inpainting/done
	$(BIN)/itermask benchmark benchmarks/ablations.toml --out runs/ablations --insert docs/results.md

# Six trainings of 5 000 steps at 2 mm: the start, and each arm from it.
ablations-training: $(ARMS:%=runs/ablations-training/%/done)
	$(BIN)/itermask benchmark benchmarks/ablations-training.toml --out runs/ablations-training/results --insert docs/results.md

# The published configurations: parameters, FLOPs, a few steps at full size; the default path against the reference.
reproduction: $(TABLE) runs/ixi/labelled.tsv
	$(BIN)/python benchmarks/published.py --insert docs/reproduction.md
	$(BIN)/python benchmarks/parity.py runs/ixi/labelled.tsv --insert docs/reproduction.md

# How many small changes of the mathematics, the metrics and the calibration a test notices; hours on few cores.
mutants: .venv/installed
	$(BIN)/python scripts/mutants.py --insert docs/reproduction.md

FLAIR := itermask2 itermask2-validation itermask2-own itermask2-one-pass cyclic-unet mmccd denoising autoencoder intensity robust-z white-matter-z \
    short long no-guidance
TRAIN_FLAIR := $(BIN)/itermask train $(DATA)/lgg-flair --sequence FLAIR --data-name "TCGA-LGG (lesion-free slices)" \
    --data-license "CC BY-NC-SA 4.0" --data-source "TCGA-LGG from The Cancer Imaging Archive; lesion masks by Buda et al. 2019" \
    --license "CC BY-NC-SA 4.0"

flair: $(FLAIR:%=runs/flair/%/done)
	$(BIN)/itermask benchmark benchmarks/flair.toml --out runs/flair-results --insert docs/results.md
	$(BIN)/itermask benchmark benchmarks/flair-elsewhere.toml --out runs/flair-elsewhere --insert docs/results.md
	$(BIN)/itermask benchmark benchmarks/flair-ablations.toml --out runs/flair-ablations --insert docs/results.md
	$(BIN)/python benchmarks/mmccd_steps.py runs/flair/mmccd $(DATA)/lgg-flair --limit 3 --ddim-steps 2 10 25 \
	    --strips 8 16 --insert docs/results.md
	$(BIN)/python benchmarks/itermask2_bound.py runs/flair/itermask2 $(DATA)/lgg-flair --insert docs/results.md

# Every method where it flags as much of healthy brains; docs/benchmark.md says how.
matched: $(TABLE) runs/baselines/inpainting/done runs/baselines/denoising/done runs/flair/bundled-one-pass/done \
    runs/flair/denoising/done
	$(BIN)/itermask benchmark benchmarks/matched-t1w.toml --out runs/matched-t1w --insert docs/results.md
	$(BIN)/itermask benchmark benchmarks/matched-flair.toml --out runs/matched-flair --insert docs/results.md

# Scanners that nothing was trained on.
unseen: | .venv/installed
	$(BIN)/itermask benchmark benchmarks/unseen-scanners.toml --out runs/unseen-scanners --insert docs/results.md

# What that model reaches on scanners and sequences that it never learned from.
any-scan-results: | .venv/installed
	$(BIN)/itermask benchmark benchmarks/any-scan.toml --out runs/any-scan --insert docs/results.md

# The model for any scanner and contrast: days on two cores, resumes; START is a model to go on from (any-2mm: the bundled one).
ANY := runs/anyscan/table.tsv
TRAIN_ANY := $(BIN)/itermask train $(ANY) --sequence T1w --data-name "IXI (Hammersmith), 2 mm; OpenNeuro ds002748 (Novosibirsk)" \
    --data-license "CC BY-SA 3.0; CC0" --data-source "brain-development.org, through the NiChart project; openneuro.org" \
    --license "CC BY-SA 3.0"

$(ANY): | .venv/installed
	$(BIN)/python scripts/anyscan_table.py $(DATA) runs/anyscan

anyscan: $(ANY)
	$(TRAIN_ANY) --preset any-2mm $(START:%=--start-from %) --out runs/anyscan/model

# Speed and memory, on a machine that does nothing else; PARTS names some of benchmarks/speed.py.
PARTS :=
speed: runs/even-steps/done runs/ixi/labelled.tsv
	$(BIN)/python benchmarks/speed.py $(PARTS) --data $(DATA) --insert docs/speed.md

runs/ixi/labelled.tsv: $(TABLE)

# Ten thousand damaged inputs, about ten minutes of one core; goes on where it was interrupted.
damaged: .venv/installed
	$(BIN)/python benchmarks/damaged_inputs.py $(DATA) runs/damaged --insert docs/damaged-inputs.md

# How well the brain is found; about five minutes of one core.
brain: .venv/installed
	$(BIN)/python benchmarks/brain_extraction.py measure --data $(DATA)
	$(BIN)/python benchmarks/brain_extraction.py table --insert docs/brain.md

runs/even-steps/done: $(TABLE)
	$(BIN)/itermask calibrate $(TABLE) --model t1w-2mm --setting focused=false --setting steps=100 \
	    --setting window=5 --out $(@D)
	touch $@

# An interrupted training goes on where it stopped; `done` stands for a model that is calibrated.
runs/baselines/inpainting/done: $(TABLE)
	$(BIN)/itermask calibrate $(TABLE) --model t1w-2mm --method inpainting --out $(@D)
	touch $@

runs/baselines/robust-z-dark/done runs/baselines/white-matter-z-dark/done: runs/baselines/%-dark/done: runs/baselines/%/done
	$(BIN)/itermask calibrate $(TABLE) --model $(<D) --setting 'side="dark"' --out $(@D)
	touch $@

runs/baselines/%/done: configs/%.toml $(TABLE)
	$(TRAIN) --config $< --out $(@D)
	touch $@

runs/ablations/bundled-fixed-threshold/done: $(TABLE)
	$(BIN)/itermask calibrate $(TABLE) --model t1w-2mm --setting 'stop="fixed"' --out $(@D)
	touch $@

runs/ablations-training/start/done: configs/ablations/start.toml $(TABLE)
	$(TRAIN) --config $< --out $(@D)
	touch $@

runs/ablations-training/%/done: configs/ablations/%.toml runs/ablations-training/start/done
	$(TRAIN) --config $< --start-from runs/ablations-training/start --out $(@D)
	touch $@

runs/flair/itermask2-validation/done: runs/flair/itermask2/done
	$(BIN)/itermask calibrate $(DATA)/lgg-flair --model $(<D) --setting 'stop="validation"' --setting exceeding=0.2 \
	    --out $(@D)
	touch $@

runs/flair/itermask2-own/done: runs/flair/itermask2/done
	$(BIN)/itermask calibrate $(DATA)/lgg-flair --model $(<D) --setting 'stop="own"' --out $(@D)
	touch $@

runs/flair/itermask2-one-pass/done: runs/flair/itermask2/done
	$(BIN)/itermask calibrate $(DATA)/lgg-flair --model $(<D) --setting iterate=false --out $(@D)
	touch $@

runs/flair/itermask2/done: src/itermask/presets/flair-2d.toml
	$(TRAIN_FLAIR) --preset flair-2d --out $(@D)
	touch $@

runs/flair/bundled-one-pass/done: | .venv/installed
	$(BIN)/itermask calibrate $(DATA)/lgg-flair --model flair-2d --setting iterate=false --out $(@D)
	touch $@

runs/flair/cyclic-unet/done runs/flair/mmccd/done: TRAIN_FLAIR += --target T1w
runs/flair/%/done: configs/flair/%.toml
	$(TRAIN_FLAIR) --config $< --out $(@D)
	touch $@

clean:
	rm -rf .venv demo-output site build/doctrees
