"""The site: `.ci/site` builds it. Every page in this folder is on it."""

import logging
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

logging.getLogger("traitlets").setLevel(logging.WARNING)  # else each notebook says that it runs

project = PROJECT["name"]
release = version = PROJECT["version"]
author = PROJECT["authors"][0]["name"]
copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.githubpages",
    "numpydoc",
    "myst_nb",
    "repository_links",
    "shell_reference",
    "public_functions",
]
exclude_patterns = ["_build"]
repository_url = PROJECT["urls"]["Repository"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 100
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's sections say the types

html_theme = "furo"
html_title = "napari-gifnet"
html_show_sourcelink = False
