#!/usr/bin/env bash
# What a viewer needs on Debian, and the environment of CONTRIBUTING.md.
set -euo pipefail
cd "$(dirname "$0")/.."

sudo apt-get update -qq
sudo apt-get install -y -qq --no-install-recommends \
  xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 \
  libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
  libxcb-shape0 libxcb-xinerama0 libxcb-xkb1
python3 -m venv .venv
.venv/bin/pip install -q -c constraints.txt torch --extra-index-url https://download.pytorch.org/whl/cpu
.venv/bin/pip install -q -c constraints.txt -e ".[dev]"
.venv/bin/pre-commit install
