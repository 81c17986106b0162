# Everything runs in the environment .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test install book readme weights baselines clean

demo: $(STAMP)            ## train if need be, and open the dashboard
	$(BIN)/dvd-jepa demo $(DEMO)

test: $(STAMP)            ## export the notebooks, run their cells, then the other tests
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'nbdev_export; nbdev_test --timing; python -m pytest -q tests'

install: $(STAMP)         ## make the environment

$(STAMP): settings.ini setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $(STAMP)

weights: $(STAMP)         ## train the packaged weights again and measure them, over five seeds
	$(BIN)/dvd-jepa train --recipe classic --seed 0 --out runs/classic
	rm -rf runs/classic/seeds
	$(BIN)/dvd-jepa evaluate runs/classic --seeds 5
	cp runs/classic/model.safetensors dvd_jepa/weights/classic.safetensors
	cp runs/classic/metrics.json dvd_jepa/weights/classic.json
	cp runs/classic/dream.gif nbs/images/dream.gif

baselines: $(STAMP)       ## train the packaged baselines again
	$(BIN)/python tools/baselines.py

book: $(STAMP)            ## export, execute every notebook in place (two at a time), clean, and write README
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'nbdev_export; \
	  export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  ls nbs/*.ipynb nbs/studies/*.ipynb | xargs -P 2 -n 1 jupyter nbconvert --log-level WARN --CoalesceStreamsPreprocessor.enabled=True --to notebook --execute --inplace; \
	  python tools/book.py; nbdev_clean; python tools/readme.py'

readme: $(STAMP)          ## write README.md from nbs/index.ipynb
	$(BIN)/python tools/readme.py

clean:                    ## remove what was built, keep the environment
	rm -rf _proc _docs build dist *.egg-info .pytest_cache
