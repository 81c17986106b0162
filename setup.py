"Packaging for nbdev projects: everything that differs between projects is read from settings.ini."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="])
parser.read(here/"settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]

statuses = ["1 - Planning", "2 - Pre-Alpha", "3 - Alpha", "4 - Beta", "5 - Production/Stable", "6 - Mature", "7 - Inactive"]
licenses = {"mit": "MIT"}
pythons = [f"Programming Language :: Python :: 3.{minor}" for minor in range(int(cfg["min_python"].split(".")[1]), 14)]

# a package index shows README, too, but not what lies beside it
raw, page = (cfg["git_url"].replace("github.com", host)+f"/{part}{cfg['branch']}/" for host,part in (("raw.githubusercontent.com", ""), ("github.com", "blob/")))
readme = re.sub(r"(!?)(\[[^\]]*)\]\((?=nbs/)", lambda m: f"{m.group(1)}{m.group(2)}]({raw if m.group(1) else page}", (here/"README.md").read_text(encoding="utf-8"))

setup(
    name=cfg["lib_name"], version=cfg["version"], description=cfg["description"],
    long_description=readme, long_description_content_type="text/markdown",
    author=cfg["author"], author_email=cfg["author_email"], url=cfg["git_url"],
    license=licenses[cfg["license"]], keywords=cfg["keywords"].split(),
    classifiers=[f"Development Status :: {statuses[int(cfg['status'])-1]}", f"Intended Audience :: {cfg['audience']}",
                 f"Natural Language :: {cfg['language']}", *pythons],
    python_requires=f">={cfg['min_python']}",
    packages=find_namespace_packages(include=["dvd_jepa", "dvd_jepa.*"]),
    package_data={"dvd_jepa": cfg["package_data"].split()},
    install_requires=cfg["requirements"].split(),
    extras_require={name: cfg[f"{name}_requirements"].split() for name in ("dev", "lab", "data", "motion", "watch", "act")},
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"]},
    zip_safe=False,
)
