"The dashboard's pages import each other by name, as Streamlit lets them."
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent/"dashboard"))
