"""Rules of ``qa-v2`` about the way: R7 and R9 to R12, how images come in, go and arrive."""

from __future__ import annotations

from sender.rule_kinds import Rule, Words, outcome

R7 = Rule(
    "R7",
    Words("送信中の変換", "Transcoding"),
    {
        "open": outcome("open", None, "送信が終わると決まります", "Settled when it has been sent"),
        "as-it-was": outcome(
            "pass", None, "転送構文を変えずに送りました", "Sent in the transfer syntax it had"
        ),
        "lossless": outcome(
            "pass", None,
            "可逆に圧縮して送り、画素値は両側で等しいと確かめました (D3)",
            "Compressed losslessly on the way; samples are equal at both ends (D3)",
        ),
        "unproven": outcome(
            "open", None,
            "圧縮して送り、画素値が等しいことはまだ確かめられていません",
            "Compressed on the way; equal samples are not established yet",
        ),
        "unequal": outcome(
            "fail", None,
            "圧縮して送った画像の画素値が両側で異なります",
            "Samples of what was compressed on the way differ between the ends",
        ),
        "lossy": outcome(
            "fail", None, "非可逆に変換して送りました", "Made lossy on the way"
        ),
    },
)  # fmt: skip

R9 = Rule(
    "R9",
    Words("取得経路", "Source path"),
    {
        "path": outcome(
            "pass", None, "取得経路は等級A〜Cです", "The source path has grade A to C",
        ),
        "attested": outcome(
            "pass", None,
            "媒体・フォルダーからの取り込みで、操作者が出所を確かめています (等級D)",
            "Imported from media or a folder; an operator attests its source (grade D)",
        ),
        "unattested": outcome(
            "warn", None,
            "取り込みの出所を確かめた人がいません (等級E)。直接伝送とは示せません。"
            "send --attest 氏名、または media_attested_by で示してください",
            "Nobody attests where this was imported from (grade E), so nothing shows that it is"
            " direct. Name who does by send --attest NAME or media_attested_by",
        ),
        "refused": outcome(
            "fail", None,
            "取り込みの出所を確かめた人がいません (等級E)。この施設の設定では送りません。"
            "send --attest 氏名 で送り直すか、参考として送ってください",
            "Nobody attests where this was imported from (grade E), and this site sends none such."
            " Send it anew with --attest NAME, or send it as reference",
        ),
        "captured": outcome(
            "fail", "pass",
            "映像の取り込み装置を通った画像です。装置の画像データを送るか、"
            "参考として送ってください",
            "It came through a video capture device. Send the image data of the device,"
            " or send it as reference",
        ),
    },
)  # fmt: skip

R10 = Rule(
    "R10",
    Words("受領証", "Receipt"),
    {
        "open": outcome(
            "open", None, "未確認: 受領証を待っています", "Not established: no receipt yet",
        ),
        "none": outcome(
            "open", None,
            "未確認: 相手の製品は署名した受領証を出しません",
            "Not established: the partner's product signs no receipt",
        ),
        "receipt": outcome(
            "pass", None,
            "受信側が読み戻して署名した受領証と一致します",
            "The receipt that the receiver signed after reading it back agrees",
        ),
        "mismatch": outcome(
            "fail", None,
            "受領証が送ったものと一致しません", "The receipt does not agree with what was sent",
        ),
    },
)  # fmt: skip

R11 = Rule(
    "R11",
    Words("相手の医療機関", "The other institution"),
    {
        "other": outcome(
            "pass", None,
            "登録された別の医療機関です", "A registered institution, another than one's own",
        ),
        "equal": outcome(
            "fail", None,
            "相手の保険医療機関コードが自院と同じです。相手の登録を確かめてください",
            "The partner has one's own institution code; check how it is registered",
        ),
        "equal-accepted": outcome(
            "warn", None,
            "相手の保険医療機関コードが自院と同じです (施設の設定で認めています)",
            "The partner has one's own institution code (accepted by the site's setting)",
        ),
        "unknown": outcome(
            "warn", None,
            "相手の保険医療機関コードが登録されていません",
            "The partner's institution code is not registered",
        ),
        "open": outcome("open", None, "送り先が決まっていません", "No partner is chosen yet"),
    },
)  # fmt: skip

R12 = Rule(
    "R12",
    Words("画面だけの伝送", "Screen delivery"),
    {
        "open": outcome("open", None, "送信が終わると決まります", "Settled when it has been sent"),
        "data": outcome(
            "pass", None, "画面ではなく画像データを送りました", "Image data were sent, no screen"
        ),
        "screen": outcome(
            "fail", None,
            "描画した画面だけを見せました。閲覧であり、受領ではありません",
            "Rendered frames alone were shown: viewing, and no receipt",
        ),
    },
)  # fmt: skip
