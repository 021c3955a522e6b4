"""``cray view``."""

from __future__ import annotations

import threading
import warnings
import webbrowser

import click

from crayoncodec.commands import lines, options
from crayoncodec.errors import CrayError
from crayoncodec.files import streams


@click.command(epilog="Example: cray view photos/")
@click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=options.paths)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Of the server, on 127.0.0.1.  [default: one that is free]"
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
def view(paths: tuple[str, ...], port: int | None, no_browser: bool) -> None:
    """Show pictures in the browser: folders as a gallery, and each beside other codecs at the same bytes.

    PATH is a folder or a picture, .cray or any that encode takes; by default the folder one is in. A server
    on this machine hands out these pictures and no other file, and only to those who have its address, which
    is printed. Ctrl-C ends it.
    """
    from crayoncodec.view import server
    from crayoncodec.view.given import Given, Pictures

    def ready(address: str) -> None:
        streams.say(address)
        if not no_browser:
            # Browsers in a terminal return when they are left.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    given = []
    for path in paths or (".",):
        try:
            given.append(Given.named(path))
        except (CrayError, OSError) as error:
            lines.fail(path, error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures, which nobody waits for here
            server.run(Pictures(given), port or 0, ready)
    except OSError as error:
        lines.fail(f"port {port or 0}", error)
