"""The root certificate of the viewer, with a page on how to install it on reading machines."""

from __future__ import annotations

import html
from pathlib import Path

from common import durable, tls
from common.proof import certificates
from common.proof.identity import Node, spoken
from common.settings import Receiver

PAGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8">
<title>ルート証明書の入れ方</title>
<style>
body {{ font: 16px/1.8 sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
code {{ background: #eee; padding: 0 .3em }}
</style>
<h1>ルート証明書の入れ方</h1>
<p>{name} の todoke ビューア (<a href="{url}">{url}</a>) を安全な接続で開くために、
読影端末に証明書を1度だけ入れます。管理者が行ってください。</p>
<h2>1. 指紋を確かめる</h2>
<p>受信側で <code>todoke receiver identity</code> を実行し、「CAの指紋」が次と同じことを確かめます。
違うときは入れないでください。</p>
<p><code>{digits}</code></p>
<h2>2. 入れる</h2>
<ul>
<li><b>Windows (Edge, Chrome)</b>: <code>todoke-root.cer</code> を開き、「証明書のインストール」→
「ローカル コンピューター」→「信頼されたルート証明機関」。
または管理者で <code>certutil -addstore Root todoke-root.cer</code></li>
<li><b>Firefox</b>: 設定 → プライバシーとセキュリティ → 証明書を表示 → 認証局証明書 → インポート →
<code>todoke-root.pem</code>、「ウェブサイトの識別」に印。</li>
<li><b>macOS</b>: <code>todoke-root.pem</code> を「システム」キーチェーンに追加、「常に信頼」。</li>
<li><b>Linux (Debian系)</b>: <code>todoke-root.pem</code> を
<code>/usr/local/share/ca-certificates/todoke-root.crt</code> に置き、
<code>update-ca-certificates</code>。Chrome は <code>certutil -d sql:$HOME/.pki/nssdb -A -t C,,
-n todoke -i todoke-root.pem</code></li>
</ul>
<h2>3. 試す</h2>
<p>ブラウザーを開き直して <a href="{url}">{url}</a> を開きます。警告が出なければ終わりです。
警告を「無視して進む」ことはしないでください。</p>
<h2>やめるとき</h2>
<p>この証明書の鍵は受信側のデータフォルダーにあります。受信側を使わなくなったら、
読影端末からこの証明書を消してください。</p>
<p lang="en">Install <code>todoke-root.pem</code> as a trusted root on the reading machines, after
comparing its SHA-256 with <code>todoke receiver identity</code>. Remove it when the receiver
goes.</p>
</html>
"""


def write_web_root(node: Node, settings: Receiver, folder: Path) -> list[Path]:
    """Write root certificate (PEM and DER) and page; return the files.

    Parameters
    ----------
    node : Node
        The receiver.
    settings : Receiver
        For the viewer's address.
    folder : Path
        Made if it is not there.
    """
    root = certificates.from_pem(node.ca)
    page = PAGE.format(
        name=html.escape(node.institution.name),
        url=html.escape(f"https://{settings.hosts[0]}:{settings.viewer_port}/"),
        digits=spoken(tls.fingerprint_of_pem(node.ca)),
    )
    files = {
        folder / "todoke-root.pem": node.ca.encode(),
        folder / "todoke-root.cer": certificates.to_der(root),
        folder / "index.html": page.encode(),
    }
    for path, content in files.items():
        durable.save(path, content)
    return list(files)
