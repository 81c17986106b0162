"""The dashboard: six pages on world models.

Start it with `streamlit run dashboard/app.py`, or `dvd-jepa demo`."""
import gc
import logging

import streamlit as st

LOOKS = """<style>
.stMainBlockContainer { padding: 3.8rem 2.5rem 1rem; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 3.8rem 1rem 1rem; } }
</style>"""


@st.cache_resource(show_spinner=False)
def settle():
    """Import what is heavy once for all sessions, and keep it.

    Streamlit collects garbage after every run. Going over all that torch is made of takes
    a tenth of a second, unless the collector is told that none of it is garbage.
    Small networks are fastest on one thread."""
    gc.disable()
    import common    # noqa: F401
    import pandas    # noqa: F401  Streamlit imports it sooner or later
    import pyarrow   # noqa: F401
    import theatre   # noqa: F401
    import torch
    torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


st.set_page_config("DVD-JEPA", page_icon="📀", layout="wide")
st.html(LOOKS)
settle()
page = st.navigation([
    st.Page("live.py", title="Live", icon=":material/play_circle:", default=True),
    st.Page("horizon.py", title="Horizon", icon=":material/timeline:"),
    st.Page("lab.py", title="Surprise lab", icon=":material/notifications_active:"),
    st.Page("watching.py", title="On watch", icon=":material/videocam:"),
    st.Page("inside.py", title="Inside", icon=":material/blur_on:"),
    st.Page("training.py", title="Train", icon=":material/model_training:"),
], position="top")

# Weights may be strange in ways that nobody has thought of: the page says so and stays up.
STRANGE = ValueError, ArithmeticError, LookupError, RuntimeError, MemoryError, OSError
try: page.run()
except STRANGE as e:
    logging.exception("a page could not be shown")
    st.error(f"This page can't be shown for these weights. {type(e).__name__}: {e}")
