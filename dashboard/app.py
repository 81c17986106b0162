"The dashboard: five pages on one world model. Start it with `streamlit run dashboard/app.py`, or `dvd-jepa demo`."
import gc

import common      # noqa: F401  these four are what Streamlit and our pages will need anyway
import pandas      # noqa: F401
import pyarrow     # noqa: F401
import streamlit as st
import theatre     # noqa: F401
import torch

@st.cache_resource(show_spinner=False)
def settle():
    "Once for all sessions. Small networks: more threads only stand in each other's way. And Streamlit collects garbage after every run, a tenth of a second over all that torch is made of: it stays."
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()

settle()
st.set_page_config("DVD-JEPA", page_icon="📀", layout="wide")
st.html("<style>.stMainBlockContainer { padding: 3.8rem 2.5rem 1rem; } @media (max-width: 640px) { .stMainBlockContainer { padding: 3.8rem 1rem 1rem; } }</style>")
st.navigation([
    st.Page("live.py", title="Live", icon=":material/play_circle:", default=True),
    st.Page("horizon.py", title="Horizon", icon=":material/timeline:"),
    st.Page("lab.py", title="Surprise lab", icon=":material/notifications_active:"),
    st.Page("inside.py", title="Inside", icon=":material/blur_on:"),
    st.Page("training.py", title="Train", icon=":material/model_training:"),
], position="top").run()
