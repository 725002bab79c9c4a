"""The directive "public-functions": what `.ci/docstrings` checks, module by module."""

import importlib
import inspect
import runpy
from pathlib import Path

from sphinx.util.docutils import SphinxDirective


def entry(module: str, name: str) -> list[str]:
    """The lines of autodoc for a name of a module."""
    thing = getattr(importlib.import_module(module), name)
    options = ["   :no-index-entry:"]
    if inspect.isclass(thing):
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        if "\nAttributes\n" not in inspect.cleandoc(thing.__doc__ or "") and kind == "autoclass":
            options.append("   :members:")
    elif callable(thing):
        kind = "autofunction"
    else:
        kind, options = "autodata", ["   :no-value:"]
    return [f".. {kind}:: {module}.{name}", *options, ""]


class PublicFunctions(SphinxDirective):
    """All public functions and classes."""

    def run(self):
        """Return a section for each module."""
        script = Path(self.env.srcdir).parent / ".ci" / "docstrings"
        lines = []
        for module, names in runpy.run_path(str(script))["PUBLIC"].items():
            lines += [module, "-" * len(module), ""]
            for name in names or importlib.import_module(module).__all__:
                lines += entry(module, name)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app):
    """Register with Sphinx."""
    app.add_directive("public-functions", PublicFunctions)
    return {"parallel_read_safe": True}
