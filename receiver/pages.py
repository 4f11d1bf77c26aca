"""The built pages: plain files without patient data, the only thing served to everybody."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

_NOT_BUILT = """<!doctype html><html lang="ja"><meta charset="utf-8"><title>todoke</title>
<p>閲覧画面がまだ組み立てられていません。make setup を実行してください。</p>
<p lang="en">The viewer has not been built yet. Run make setup.</p></html>
"""

#: Paths that are no addresses of a page.
_NO_PAGES = ("/assets/", "/api/", "/dicomweb/")

PACKED = ".gz"
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".woff2": "font/woff2"}


def routes(folder: Path) -> list[BaseRoute]:
    """Return the route of every path that no other route has.

    Parameters
    ----------
    folder : Path
        Of the build.  A path is looked up in the list of its files, so none
        leads elsewhere; any other path is the application's own and gets
        ``index.html``.  A file's gzipped copy beside it, of the same name with
        ``.gz``, is sent to who takes it.
    """
    files = {
        f"/{path.relative_to(folder).as_posix()}": path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != PACKED
    }
    packed = {
        path: beside
        for path in files.values()
        if (beside := path.with_name(f"{path.name}{PACKED}")).is_file()
    }

    async def page(request: Request) -> Response:
        path = files.get(request.url.path)
        if path is None and request.url.path.startswith(_NO_PAGES):
            raise HTTPException(404)
        path = path or files.get("/index.html")
        if path is None:
            return HTMLResponse(_NOT_BUILT, 503)
        # names of assets carry a digest of their content
        hashed = request.url.path.startswith("/assets/")
        kept = "public, max-age=31536000, immutable" if hashed else "no-cache"
        media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        small = packed.get(path)
        if small is not None and "gzip" in request.headers.get("accept-encoding", ""):
            path, headers["Content-Encoding"] = small, "gzip"
        return FileResponse(path, media_type=media, headers=headers)

    return [Route("/{path:path}", page, methods=["GET"])]
