# Everything runs in the environment .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Two workers of one thread each, or one of several: threads that wait for each other's core crawl.
ALONE  := $(filter-out 1,$(DVD_JEPA_THREADS))

.PHONY: help demo watch test chapters install book readme weights films street baselines yardsticks collapse figures paper docs preview picture sessions bench clean capacity faults act

demo: $(STAMP)            ## train if need be, and open the dashboard
	$(BIN)/dvd-jepa demo $(DEMO)

watch: $(STAMP)           ## watch a camera over RTSP on this machine, which dies and comes back; events and films go to runs/watch (trains runs/square if need be)
	$(BIN)/python tools/on_watch.py

test: $(STAMP)            ## export the notebooks, run their cells, then the other tests (those in a browser need Chromium); what failed is said at the end
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -c 'nbdev_export || exit 1; failed=""; \
	  nbdev_test --timing $(if $(ALONE),--n_workers 1) || failed="notebooks (named above; one alone: nbdev_test --path nbs/NAME.ipynb --do_print)"; \
	  python -m pytest -q -n $(if $(ALONE),1,2) --dist loadfile --no-loadscope-reorder -m "not timed" || failed="$$failed; tests/ (one alone: python -m pytest -x tests/NAME.py)"; \
	  python -m pytest -q -m timed || failed="$$failed; timed tests (again on an idle machine: python -m pytest -m timed)"; \
	  [ -z "$$failed" ] || { echo "FAILED: $${failed#; }"; exit 1; }'

chapters: $(STAMP)        ## run the cells of all notebooks alone
	PATH="$(CURDIR)/$(BIN):$$PATH" nbdev_test --timing $(if $(ALONE),--n_workers 1)

install: $(STAMP)         ## make the environment

$(STAMP): settings.ini setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $(STAMP)

WEIGHTS ?= classic rotor varied

weights: $(STAMP)         ## train the packaged weights again and measure them, over five seeds and a million clean frames
	for name in $(WEIGHTS); do $(BIN)/dvd-jepa train --recipe $$name --seed 0 --out runs/$$name && \
	  rm -rf runs/$$name/seeds && $(BIN)/dvd-jepa evaluate runs/$$name --seeds 5 --rates && \
	  cp runs/$$name/model.safetensors dvd_jepa/weights/$$name.safetensors && \
	  cp runs/$$name/metrics.json dvd_jepa/weights/$$name.json && \
	  cp runs/$$name/dream.gif nbs/images/dream-$$name.gif || exit 1; done
	$(BIN)/python tools/yardsticks.py

baselines: $(STAMP)       ## train the packaged baselines again
	$(BIN)/python tools/baselines.py

collapse: $(STAMP)        ## study 20: train every way against collapse that isn't kept yet (ten minutes), and write the study again
	$(BIN)/python tools/collapse.py
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/studies/20_collapse.ipynb; \
	  python tools/book.py; nbdev_clean; python tools/readme.py'

films: $(STAMP)           ## render the two films of a square again (two minutes)
	$(BIN)/python tools/street.py

street: $(STAMP)          ## study 24: measure on UCSD Ped1 what isn't kept yet (half an hour; PED1=where it lies), and write the study again
	$(BIN)/python tools/ped1.py $(PED1)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/studies/24_street.ipynb; \
	  python tools/book.py; nbdev_clean'

capacity: $(STAMP)        ## measure what the recipes for films cost at each capacity, and how much memory a long film takes (an hour), and write chapters 22 and 06 again
	rm -f nbs/studies/results/24_capacity.json
	$(BIN)/python tools/capacity.py
	$(BIN)/python tools/long.py
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/06_reel.ipynb nbs/22_recipes.ipynb; \
	  python tools/book.py; nbdev_clean'

faults: $(STAMP)          ## break a watch in some fifty ways and count how many cameras a core watches (ten minutes), and write study 27 again
	$(BIN)/python tools/faults.py
	$(BIN)/python tools/rates.py
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/studies/27_faults.ipynb; \
	  python tools/book.py; nbdev_clean'

act: $(STAMP)             ## study 28: train five seeds that are told actions, let them and their rivals fly (an hour and a half), and write the study again
	$(BIN)/python tools/act.py
	cp runs/act/steer-0.safetensors dvd_jepa/weights/steer.safetensors
	mkdir -p runs/steer && cp runs/act/steer-0.safetensors runs/steer/model.safetensors
	$(BIN)/dvd-jepa evaluate runs/steer --rates && cp runs/steer/metrics.json dvd_jepa/weights/steer.json
	$(BIN)/dvd-jepa plan --goal corner --out nbs/images/corner.gif
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/studies/28_act.ipynb; \
	  python tools/book.py; nbdev_clean'

figures: $(STAMP)         ## measure the packaged weights again and draw the paper's figures (three minutes); FULL=1: train all over five seeds, and the grid, before that (an hour)
ifdef FULL
	$(MAKE) weights
	$(BIN)/python tools/collapse.py --again
endif
	$(BIN)/python tools/figures.py --measure
	$(BIN)/python tools/paper.py

paper: $(STAMP)           ## compile the paper; its numbers are read from the result files
	$(BIN)/python tools/paper.py

docs: $(STAMP)            ## build the site into _docs/, demo and all, without a network; every link is followed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/docs.py

preview: docs             ## … and serve it at http://localhost:4200
	$(BIN)/python -m http.server 4200 -d _docs

picture: $(STAMP)         ## film the dashboard for README (needs Chromium)
	$(BIN)/python tools/picture.py

sessions: $(STAMP)        ## how long do 20 people wait who watch the dashboard at once?
	$(BIN)/python tools/sessions.py

bench: $(STAMP)           ## measure what training and watching cost, afresh (ten minutes on an idle machine)
	rm -f nbs/studies/results/23_speed.json nbs/studies/results/23_monitor.json
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/studies/23_speed.ipynb; \
	  python tools/book.py; nbdev_clean; python tools/readme.py'

book: $(STAMP)            ## export, execute every notebook in place (two at a time), clean, and write README
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -e -c 'nbdev_export; \
	  export OMP_NUM_THREADS=1 PLOTLY_RENDERER=plotly_mimetype+notebook_connected; \
	  ls nbs/*.ipynb nbs/studies/*.ipynb | xargs -P 2 -n 1 jupyter nbconvert --log-level WARN --to notebook --execute --inplace; \
	  python tools/book.py; nbdev_clean; python tools/readme.py'

yardsticks: $(STAMP)      ## measure the packaged weights' usual errors again
	$(BIN)/python tools/yardsticks.py

readme: $(STAMP)          ## write README.md from nbs/index.ipynb
	$(BIN)/python tools/readme.py

help:                     ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 14

clean:                    ## remove what was built, keep the environment
	rm -rf _proc _docs build dist *.egg-info .pytest_cache
