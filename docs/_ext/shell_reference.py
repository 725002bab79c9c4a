"""The directive "shell-reference": every command of gifnet, from its own help."""

from sphinx.util.docutils import SphinxDirective


def plain(text: str | None) -> str:
    """Help without the marks of the terminal."""
    from rich.text import Text

    return Text.from_markup((text or "").replace("\b", "")).plain.strip()


def literal(text: str) -> list[str]:
    return ["::", "", *(f"   {line}" for line in text.splitlines()), ""]


def command_lines(name: str, command) -> list[str]:
    """A section of reStructuredText for a command."""
    context = command.make_context(f"gifnet {name}", [], resilient_parsing=True)
    lines = [f"gifnet {name}", "-" * (7 + len(name)), ""]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += literal(f"gifnet {name} {usage}\n\n{plain(command.help)}")
    lines += [".. list-table::", "   :widths: 35 65", "   :header-rows: 1", ""]
    lines += ["   * - option", "     - meaning"]
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        record = parameter.get_help_record(context)
        words = plain(record[1] if record else getattr(parameter, "help", "")) or "—"
        names = record[0] if record else parameter.make_metavar(context)
        lines += [f"   * - ``{names}``", f"     - {words.replace(chr(10), ' ').replace('*', chr(92) + '*').replace('`', '')}"]
    return [*lines, ""]


class ShellReference(SphinxDirective):
    """All commands of the command line."""

    def run(self):
        """Return their sections."""
        from typer.main import get_command

        from napari_gifnet.cli import app

        group = get_command(app)
        lines = [line for name, command in group.commands.items() for line in command_lines(name, command)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app):
    """Register with Sphinx."""
    app.add_directive("shell-reference", ShellReference)
    return {"parallel_read_safe": True}
