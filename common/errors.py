"""One tree of errors for both ends.

A class decides once what a failure means everywhere: the fault number a user
reads out on the telephone, whether trying again can help, the exit code of a
verb, the DIMSE status (PS3.7 annex C) and the HTTP status a peer is told, and
the words in Japanese and English.  Words have the form *what happened; what to
do*; the number is added by :meth:`TodokeError.words`.

::

    TodokeError
    |- UsageError                2x: the line typed, a setting
    |- InputError                20s: what was to be sent
    |- StorageError              40s: our own disk and index
    |   `- IntegrityError        44: bytes are not what they were
    `- PeerError                 60s: the other end, or the way to it
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, ClassVar, Self

_ABSOLUTE = re.compile(r"""(?:^|[\s(='":])(?:/[\w.]|[A-Za-z]:[\\/])""")


class TodokeError(Exception):
    """Root of every error that todoke raises on purpose.

    Parameters
    ----------
    **facts
        Values for the named fields of the words, without patient data.
    """

    number: ClassVar[str] = "E-1000"
    exit_code: ClassVar[int] = 1
    dimse_status: ClassVar[int] = 0x0110  # processing failure, PS3.7 C.5.11
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    ja: ClassVar[str] = "思わぬ失敗です ({cause})。記録を添えて管理者に連絡してください"
    en: ClassVar[str] = "Unexpected failure ({cause}). Give the log to your administrator"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.words("en"))

    def words(self, lang: str = "ja") -> str:
        """Return the sentence for a user, ending in the fault number.

        Parameters
        ----------
        lang : {'ja', 'en'}
            Language of the sentence.
        """
        template = self.en if lang == "en" else self.ja
        return f"{template.format_map(_Facts(self.facts))} {self.number}"

    def as_json(self) -> dict[str, str]:
        """Return number and both sentences, as a peer or a script reads them."""
        return {"number": self.number, "ja": self.words("ja"), "en": self.words("en")}

    def for_peer(self) -> Self:
        """Return the same failure naming no place of this machine: what a door answers."""
        told = {name: "…" if self._names_place(fact) else fact for name, fact in self.facts.items()}
        return type(self)(**told)

    def _names_place(self, fact: Any) -> bool:
        return isinstance(fact, PurePath) or _ABSOLUTE.search(str(fact)) is not None


def of_number(number: str) -> type[TodokeError]:
    """Return the class of a fault number, the root for one of another version."""
    kinds = [TodokeError]
    for kind in kinds:
        if kind.number == number:
            return kind
        kinds += kind.__subclasses__()
    return TodokeError


class _Facts(dict[str, Any]):
    """A missing fact shows as a question mark rather than hide the error."""

    def __missing__(self, key: str) -> str:
        return "?"


class UsageError(TodokeError):
    number = "E-1001"
    exit_code = 2
    http_status = 400
    ja = "指定が正しくありません ({cause})。--help で書き方を確かめてください"
    en = "The command is not right ({cause}). See --help"


class SettingsError(UsageError):
    number = "E-1002"
    ja = "設定 {path} の {key} が正しくありません ({cause})。直してから起動し直してください"
    en = "Setting {key} in {path} is not right ({cause}). Mend it and start again"


class NotInitialised(UsageError):
    number = "E-1003"
    ja = "{path} はまだ初期設定されていません。先に todoke {room} init を実行してください"
    en = "{path} is not initialised. Run todoke {room} init first"


class DocumentTooLong(UsageError):
    number = "E-1020"
    exit_code = 2
    ja = "「{title}」は読める文字では1ページに収まりません。--record か --json で出してください"
    en = "{title} does not fit on one page in readable letters. Use --record or --json"


class FontMissing(UsageError):
    number = "E-1021"
    exit_code = 2
    ja = "文書のフォント {path} がありません。python hatch_build.py を実行してください"
    en = "No font of documents at {path}. Run python hatch_build.py"


class AlreadyInitialised(UsageError):
    number = "E-1004"
    ja = "{path} は初期設定済みです。鍵を守るため上書きしません。別の --data を指定してください"
    en = "{path} is initialised already and is not overwritten. Give another --data"


class NotFound(UsageError):
    number = "E-1005"
    exit_code = 21
    http_status = 404
    ja = "{thing} が見つかりません。名前を確かめてください"
    en = "{thing} was not found. Check its name"


class InstitutionCodeError(UsageError):
    number = "E-1006"
    ja = "保険医療機関コード {code} が正しくありません ({cause})。10桁の数字を確かめてください"
    en = "Institution code {code} is not right ({cause}). Check its ten digits"


class SeveralInstitutions(UsageError):
    number = "E-1007"
    http_status = 409
    ja = "同じUIDが複数の施設から届いています ({cause})。施設を指定して開いてください"
    en = "Several institutions sent this UID ({cause}). Name the institution"


class PasswordTooWeak(UsageError):
    number = "E-1008"
    ja = "パスワードが規則に合いません ({cause})。英字・数字・記号で{least}文字以上にしてください"
    en = "The password breaks the rule ({cause}). Mix {least} or more letters, digits and signs"


class VerbFailed(TodokeError):
    number = "E-1010"
    ja = "{verb} が失敗しました ({cause})。上の記録を確かめてください"
    en = "{verb} failed ({cause}). See the log above"


class InputError(TodokeError):
    number = "E-2000"
    exit_code = 20
    dimse_status = 0xA900
    http_status = 400
    ja = "受け付けられない入力です ({cause})。元のデータを確かめてください"
    en = "Input cannot be taken ({cause}). Check the source"


class NotDicom(InputError):
    number = "E-2001"
    exit_code = 22
    ja = "DICOM画像として読めません ({cause})。装置から出し直してください"
    en = "Not readable as a DICOM image ({cause}). Export it again"


class NotAnImage(InputError):
    number = "E-2002"
    exit_code = 22
    ja = "画像ではありません ({cause})。送る必要はありません"
    en = "Not an image ({cause}). There is nothing to send"


class SlideUnreadable(InputError):
    number = "E-2003"
    exit_code = 23
    ja = "スライドとして読めません ({cause})。スキャナーから出し直してください"
    en = "Not readable as a slide ({cause}). Export it from the scanner again"


class SlideUnsupported(InputError):
    number = "E-2004"
    exit_code = 23
    ja = "この形式のスライドはまだ送れません ({cause})。対応形式の表を確かめてください"
    en = "This kind of slide cannot be sent yet ({cause}). See the table of formats"


class SourceChanged(InputError):
    number = "E-2005"
    exit_code = 24
    ja = "送信中に元のファイルが変わりました ({path})。書き込みが終わってから再送してください"
    en = "The source changed while it was sent ({path}). Retry when it is no longer written"


class SameInstance(InputError):
    number = "E-2006"
    ja = "{path} と同じインスタンスです。もう一度送る必要はありません"
    en = "same instance as {path}"


class SameUidOtherContent(InputError):
    number = "E-2007"
    exit_code = 25
    dimse_status = 0xA900
    http_status = 409
    ja = (
        "{path} と同じUIDで中身が違います。先に届いたものを残しました。装置の設定を確かめてください"
    )
    en = "same UID, other content: {path}"


class NotCarried(InputError):
    number = "E-2008"
    exit_code = 22
    ja = "この種類の画像や圧縮はまだ送れません ({cause})。別の形式で出し直してください"
    en = "This kind or coding of image is not carried yet ({cause}). Export it in another form"


class RequestTooLarge(InputError):
    number = "E-2009"
    dimse_status = 0x0213  # resource limitation, PS3.7 C.5.24
    http_status = 413
    ja = "要求が大きすぎます ({cause})。いくつかに分けて送ってください"
    en = "The request is too large ({cause}). Split it into several"


class HeaderTooLarge(NotDicom):
    number = "E-2010"
    dimse_status = 0xC010  # cannot understand, PS3.4 table B.2-1; so to E-2016
    ja = "画像の前の情報が大きすぎます ({cause})。装置から出し直してください"
    en = "What precedes the image is too large ({cause}). Export it again"


class TooManyElements(NotDicom):
    number = "E-2011"
    dimse_status = 0xC011
    ja = "データ要素が多すぎます ({cause})。シリーズを分けて出し直してください"
    en = "Too many data elements ({cause}). Export it again in several parts"


class NestedTooDeep(NotDicom):
    number = "E-2012"
    dimse_status = 0xC012
    ja = "シーケンスの入れ子が深すぎます ({cause})。装置の製造元に確かめてください"
    en = "Sequences are nested too deeply ({cause}). Ask the maker of the device"


class InflatedTooLarge(NotDicom):
    number = "E-2013"
    dimse_status = 0xC013
    ja = "伸長すると大きすぎます ({cause})。圧縮せずに出し直してください"
    en = "Too large once inflated ({cause}). Export it again without Deflate"


class DataSetCut(NotDicom):
    number = "E-2014"
    dimse_status = 0xC014
    ja = "データが途中で切れています ({cause})。もう一度出し直してください"
    en = "The data end too early ({cause}). Export it again"


class DataSetUnsound(NotDicom):
    number = "E-2015"
    dimse_status = 0xC015
    ja = "データの構造がDICOM規格に合いません ({cause})。装置の製造元に確かめてください"
    en = "The data are not built as DICOM says ({cause}). Ask the maker of the device"


class UidInvalid(NotDicom):
    number = "E-2016"
    dimse_status = 0xC016
    ja = "UIDが正しくありません ({cause})。装置の製造元に確かめてください"
    en = "A UID is not valid ({cause}). Ask the maker of the device"


class WrongHost(InputError):
    number = "E-2040"
    http_status = 421  # misdirected request, RFC 9110 section 15.5.20
    ja = "この受信側の名前ではありません。設定 hosts にある名前かアドレスで開いてください"
    en = "Not a name of this receiver. Open it by a name in the setting hosts, or by its address"


class FileNameUnreadable(InputError):
    number = "E-2041"
    exit_code = 22
    ja = "ファイル名の文字を読めません (UTF-8ではありません)。名前を変えてください"
    en = "The name of the file is not readable (not UTF-8). Rename it"


class SidecarOutside(InputError):
    number = "E-2060"
    exit_code = 23
    ja = "スライドの付属ファイルがフォルダーの外を指します ({cause})。送らずに出し直してください"
    en = "A part of the slide lies outside its folder ({cause}). Not sent; export it again"


class LeftOut(InputError):
    number = "E-2061"
    ja = "患者名が写ることがある{cause}なので、設定により送りません。送るなら --label / --macro"
    en = "A {cause} may show the patient's name; by setting it stays here. Use --label / --macro"


class StillNotAsked(InputError):
    number = "E-2050"
    exit_code = 22
    ja = (
        "写真 ({cause}) を医用画像としては自動で送りません。"
        "病理の写真なら --micro (顕微鏡画像) か --gross (肉眼像) で指定してください"
    )
    en = (
        "A photograph ({cause}) is not made a medical image by itself. "
        "If it is one of pathology, name it with --micro (microscope) or --gross"
    )


class StillUnreadable(InputError):
    number = "E-2051"
    exit_code = 22
    ja = "写真のファイルが壊れています ({cause})。カメラから出し直してください"
    en = "The file of this photograph is broken ({cause}). Export it again from the camera"


class StillUnsupported(InputError):
    number = "E-2052"
    exit_code = 22
    ja = "この写真は送れません ({cause})。8ビットのRGBかグレースケールで1枚ずつ保存してください"
    en = (
        "This photograph cannot be sent ({cause}). Save it alone, in RGB or grey of 8 bits a sample"
    )


class StillNotPathology(InputError):
    number = "E-2053"
    exit_code = 26
    ja = (
        "写真は病理の症例にだけ添えられます ({cause})。"
        "放射線などの画像は装置からDICOMで送ってください"
    )
    en = (
        "Photographs go along with cases of pathology only ({cause}). "
        "Send images of radiology as DICOM from their device"
    )


class MixedPatients(InputError):
    number = "E-2104"
    exit_code = 26
    ja = "患者が混ざっています ({count}名)。1名ずつ分けてください"
    en = "More than one patient in one study ({count}). Split them"


class PatientsDiffer(MixedPatients):
    number = "E-2123"
    ja = (
        "1つの検査の中で患者が食い違います ({count}通り。違う項目: {on})。"
        "元の画像を確かめ、患者ごとに分けてください"
    )
    en = (
        "The images of one study are not of one patient ({count}; what differs: {on}). "
        "Check them at their source, and split them by patient"
    )


class NoRoute(InputError):
    number = "E-2105"
    exit_code = 26
    ja = "送り先が決まっていません ({cause})。rules.toml に書くか release --to で選んでください"
    en = "No rule says where this goes ({cause}). Write one into rules.toml or use release --to"


class PatientUnknown(InputError):
    number = "E-2106"
    exit_code = 26
    ja = (
        "患者IDが分からないため送りません ({path})。依頼のCSVを横に置くか"
        " todoke sender request で入れてください"
    )
    en = (
        "Not sent without a patient ID ({path}). Put a request CSV beside it"
        " or give the ID by todoke sender request"
    )


class RequestUnreadable(InputError):
    number = "E-2107"
    exit_code = 26
    ja = "依頼情報 {place} を読めません ({cause})。直して同じ場所に置き直してください"
    en = "Request information {place} cannot be read ({cause}). Mend it and put it there again"


class TakenAgain(InputError):
    number = "E-2108"
    exit_code = 24
    ja = "元のファイルが変わったため、送信 {transfer} として送り直しました。こちらは操作不要です"
    en = "The source changed; it was taken again as transfer {transfer}. Nothing to do for this one"


class PatientBlocked(InputError):
    number = "E-2120"
    exit_code = 26
    ja = (
        "この患者の画像は送れません。外部への送信に同意しない旨の申出が登録されています。"
        "申出が取り下げられたときは todoke sender block remove で外してください"
    )
    en = (
        "Images of this patient cannot be sent: an objection is on the list. "
        "If it was withdrawn, take it off with todoke sender block remove"
    )


class ProgramToo(NotDicom):
    number = "E-2121"
    exit_code = 22
    ja = (
        "DICOMファイルの先頭が別の種類のファイルにもなっています ({cause})。送りません。"
        "開かずに、出どころを情報担当者に確かめてもらってください"
    )
    en = (
        "The beginning of this DICOM file makes it another kind of file too ({cause}). Not sent; "
        "do not open it, and have its source looked into"
    )


class SentOtherwise(InputError):
    number = "E-2122"
    exit_code = 25
    ja = (
        "同じUIDの画像を違う中身ですでに送っています (送信 {transfer})。"
        "装置の設定を確かめ、新しいUIDで出し直してください"
    )
    en = (
        "Images with these UIDs were sent before with other content (transfer {transfer}). "
        "Check the device, and export them again under new UIDs"
    )


class AlreadySent(InputError):
    number = "E-2109"
    ja = "送信 {transfer} と同じ内容のスライドです。もう一度送る必要はありません"
    en = "The same slide as in transfer {transfer}. There is no need to send it again"


class SourceGone(SourceChanged):
    number = "E-2110"
    ja = "送信中に元のファイルがなくなりました ({path})。元の場所に戻してから再送してください"
    en = "The source was removed while it was sent ({path}). Put it back, then retry"


class NotDirect(InputError):
    number = "E-2130"
    exit_code = 28
    ja = (
        "直接伝送として送れないため保留しました ({why})。参考として送るには、責任者が"
        " todoke sender release 番号 --as 参考 --by 氏名 --reason 理由"
    )
    en = (
        "Held, as it cannot go as direct transmission ({why}). To send it as reference, a"
        " person decides: todoke sender release ID --as reference --by NAME --reason TEXT"
    )

    def words(self, lang: str = "ja") -> str:
        """Return the sentence, with the rule's reason (`why_ja`, `why_en`) in its language."""
        self.facts["why"] = self.facts.get(f"why_{lang}", self.facts.get("why", "?"))
        return super().words(lang)


class RequestOfAnother(InputError):
    number = "E-2131"
    exit_code = 26
    ja = (
        "依頼情報の患者が画像の患者と違うか、画像が複数の患者のものなので送りません。正しい依頼を"
        " todoke sender request で入れるか、患者ごとに分けて送ってください"
    )
    en = (
        "Not sent: the request is of another patient than the images, or these are of several."
        " Give the right one by todoke sender request, or send each patient apart"
    )


class AnnouncementGone(InputError):
    number = "E-2132"
    exit_code = 26
    ja = "予告 {transfer} はもう開いていません ({cause})。release で予告なしに送れます"
    en = "Announcement {transfer} is no longer open ({cause}). release sends without it"


class InvitationError(InputError):
    number = "E-2201"
    exit_code = 27
    http_status = 403
    ja = "招待を使えません ({cause})。受信側に新しい招待を作ってもらってください"
    en = "The invitation cannot be used ({cause}). Ask the receiver for a new one"


class EqualInstitution(InputError):
    number = "E-2202"
    exit_code = 27
    http_status = 409
    ja = "相手の保険医療機関コードが自院と同じです ({code})。遠隔の医療機関どうしで組んでください"
    en = "The partner has your own institution code ({code}). Pair two different institutions"


class StorageError(TodokeError):
    number = "E-4000"
    exit_code = 40
    dimse_status = 0xA700  # out of resources, PS3.4 B.2.3
    http_status = 507
    retryable = True
    ja = "保存できません ({cause})。ディスクを確かめてください"
    en = "Cannot be stored ({cause}). Check the disk"

    def _names_place(self, fact: Any) -> bool:
        # our own disk and index: their paths may be relative ones, with any letters
        return super()._names_place(fact) or re.search(r"[/\\]", str(fact)) is not None


class DiskFull(StorageError):
    number = "E-4005"
    exit_code = 41
    ja = "ディスクの空きがありません ({path})。空きができると自動で続けます"
    en = "The disk is full ({path}). Transfer goes on by itself when there is space"


class DataInUse(StorageError):
    number = "E-4006"
    exit_code = 42
    ja = "{path} は別の todoke が使用中です。二重に起動していないか確かめてください"
    en = "{path} is in use by another todoke. Check that it is not started twice"


class DatabaseUnsafe(StorageError):
    number = "E-4007"
    exit_code = 43
    retryable = False
    ja = "記録簿を安全な方式で開けません ({cause})。起動を中止しました。ディスクを確かめてください"
    en = "The index cannot be opened safely ({cause}). Start refused; check the disk"


class SyncFailed(StorageError):
    number = "E-4010"
    exit_code = 45
    retryable = False
    ja = "ディスクに確実に書けません ({cause})。受領とせず終了します。ディスクを確かめてください"
    en = "The disk lost a write ({cause}). Nothing more is acknowledged; ends. Check the disk"


class DatabaseDamaged(StorageError):
    number = "E-4011"
    exit_code = 46
    retryable = False
    ja = (
        "記録簿 {path} が壊れています ({cause})。ディスクを確かめ、控えから戻すか作り直してください"
    )
    en = "{path} is damaged ({cause}). Check the disk, then restore it from a backup or rebuild it"


class IndexLost(DatabaseUnsafe):
    number = "E-4020"
    ja = "記録簿とファイルが合いません ({cause})。消した物はありません。receiver reindex で直せます"
    en = "Index and files do not fit ({cause}). Nothing was removed; run todoke receiver reindex"


class StoreAway(StorageError):
    number = "E-4021"
    ja = "保管場所が見えません ({path})。何も変えていません。ディスクのつながりを確かめてください"
    en = "The store is not there ({path}). Nothing was changed; check that its disk is mounted"


class NotRepairable(StorageError):
    number = "E-4022"
    retryable = False
    ja = "壊れた画像を自動で取り戻せません ({cause})。依頼元に装置から出し直すよう頼んでください"
    en = (
        "A damaged image cannot be had again by itself ({cause}). Ask its sender to export it again"
    )


class IntegrityError(StorageError):
    number = "E-4100"
    exit_code = 44
    dimse_status = 0xA900
    http_status = 422
    retryable = False
    ja = "照合が一致しません ({cause})。受領としていません。もう一度送ってください"
    en = "Digests differ ({cause}). Not receipted; send it again"


class ImageDamaged(IntegrityError):
    number = "E-4103"
    ja = "この画像は壊れています (照合不一致)。再送を依頼してください"
    en = "This image is damaged (digest differs). Ask for it again"


class CannotDisplay(InputError):
    number = "E-4110"
    http_status = 406
    ja = "この画像は表示できません ({cause})。診断用ビューアで開いてください"
    en = "This image cannot be shown here ({cause}). Open it in the certified viewer"


class PeerError(TodokeError):
    number = "E-6000"
    exit_code = 60
    dimse_status = 0x0110
    http_status = 502
    retryable = True
    ja = "相手との通信に失敗しました ({cause})。自動でやり直します"
    en = "Communication with the peer failed ({cause}). It is tried again by itself"


class TooLargeForPeer(PeerError):
    number = "E-6013"
    exit_code = 64
    retryable = False
    ja = (
        "4 GiBを超える画像があり ({cause})、todokeの受信側でない相手には送りません。"
        "相手にtodokeの受信側を置くか、送る元の装置で階層を分けて書き出してください"
    )
    en = (
        "An image is larger than 4 GiB ({cause}) and is not sent to a peer that is no todoke"
        " receiver. Install one there, or let the scanner write the levels in parts"
    )


class PeerUnreachable(PeerError):
    number = "E-6001"
    exit_code = 61
    ja = "相手 {peer} につながりません ({cause})。回線とファイアウォールを確かめてください"
    en = "{peer} cannot be reached ({cause}). Check line and firewall"


class PeerTimeout(PeerError):
    number = "E-6002"
    exit_code = 61
    ja = "相手 {peer} の返事が {seconds} 秒ありません。自動でやり直します"
    en = "{peer} has not answered for {seconds} s. It is tried again by itself"


class PeerCertificateRefused(PeerError):
    number = "E-6003"
    exit_code = 62
    http_status = 403
    retryable = False
    ja = "証明書が認められません ({cause})。相手と組み直してください"
    en = "A certificate is not accepted ({cause}). Pair again with the peer"


class PeerNotRegistered(PeerError):
    number = "E-6004"
    exit_code = 62
    dimse_status = 0x0124  # not authorized, PS3.7 C.5.22
    http_status = 403
    retryable = False
    ja = "登録のない相手です ({cause})。partner add か招待で登録してください"
    en = "The peer is not registered ({cause}). Use partner add or an invitation"


class AssociationRejected(PeerError):
    number = "E-6005"
    exit_code = 63
    retryable = False
    ja = "相手 {peer} がアソシエーションを拒否しました ({cause})。AEタイトルを確かめてください"
    en = "{peer} rejected the association ({cause}). Check the AE titles"


class AssociationAborted(PeerError):
    number = "E-6006"
    exit_code = 63
    ja = "アソシエーションが切れました ({cause})。自動でやり直します"
    en = "The association was aborted ({cause}). It is tried again by itself"


class ContextNotAccepted(PeerError):
    number = "E-6007"
    exit_code = 64
    retryable = False
    ja = "相手がこの種類の画像を受け付けません ({cause})。相手の設定を確かめてください"
    en = "The peer does not take this kind of image ({cause}). Check its settings"


class PeerRefused(PeerError):
    number = "E-6008"
    exit_code = 65
    retryable = False
    ja = "相手が受け付けませんでした ({cause})。相手の管理者に確かめてください"
    en = "The peer refused ({cause}). Ask its administrator"


class PeerBusy(PeerError):
    number = "E-6009"
    exit_code = 65
    http_status = 503
    dimse_status = 0xA700
    ja = "相手が一時的に受け付けられません ({cause})。自動でやり直します"
    en = "The peer cannot take more just now ({cause}). It is tried again by itself"


class PeerFull(PeerBusy):
    number = "E-4012"
    http_status = 507
    ja = "相手に保存する空きがありません ({cause})。空きができると自動で続けます"
    en = "The peer has no room to store ({cause}). Transfer goes on by itself when there is space"


class ProtocolError(PeerError):
    number = "E-6010"
    exit_code = 66
    http_status = 400
    retryable = False
    ja = "相手の言葉が規格に合いません ({cause})。相手の製品と版を確かめてください"
    en = "The peer broke the protocol ({cause}). Check its product and version"


class CommitmentPending(PeerError):
    number = "E-6011"
    ja = "相手の保管確約を待っています ({cause})。画像は届いています。自動で確かめ直します"
    en = "Waiting for the peer's storage commitment ({cause}). The images arrived; no action needed"


class NotCommitted(PeerError):
    number = "E-6012"
    exit_code = 65
    retryable = False
    ja = "相手が保管を確約しませんでした ({cause})。元の画像を残し、相手の管理者に確かめてください"
    en = (
        "The peer did not commit to storage ({cause}). Keep the originals and ask its administrator"
    )


class ClockOff(PeerError):
    number = "E-6020"
    exit_code = 66
    http_status = 409
    ja = "両端の時計がずれています ({cause})。両方の時刻同期 (NTP) を直せば、記録に自動で署名します"
    en = (
        "The clocks of the two ends differ ({cause})."
        " Mend the time synchronisation (NTP) of both; records are then signed by themselves"
    )


class RecordOrder(PeerError):
    number = "E-6021"
    exit_code = 66
    http_status = 409
    retryable = False
    ja = "証跡の連番が続きません ({cause})。両端の records check で消えた記録を確かめてください"
    en = (
        "The record does not follow the one before ({cause})."
        " Run records check at both ends to see which is missing"
    )


class RecordDiffers(PeerError):
    number = "E-6022"
    exit_code = 66
    http_status = 422
    retryable = False
    ja = (
        "証跡の内容が受領側の事実と違います ({cause})。副署しません。双方の管理者が確かめてください"
    )
    en = (
        "The record differs from what the receiver knows ({cause}), and is not countersigned."
        " The administrators of both ends have to look"
    )


class AuditRepositoryAway(PeerError):
    number = "E-4550"
    ja = "監査記録の送り先につながりません ({cause})。記録は手元に残り、つながると自動で送ります"
    en = (
        "The audit repository is not reached ({cause})."
        " The messages are kept here and go out by themselves"
    )


class MaintenanceOpen(TodokeError):
    number = "E-4551"
    exit_code = 2
    http_status = 409
    ja = "リモート保守の記録の順が違います ({cause})。maintenance begin と end を対にしてください"
    en = "Maintenance is out of order ({cause}). Each maintenance begin needs one end"


class FalseCountersignature(PeerError):
    number = "E-6023"
    exit_code = 66
    http_status = 422
    retryable = False
    ja = (
        "相手の副署はこの記録に対するものではありません ({cause})。受領の証拠になりません。"
        "双方の管理者が確かめ、todoke sender records again で送り直してください"
    )
    en = (
        "What the partner signed is no countersignature of this record ({cause}), and shows"
        " nothing. The administrators of both ends have to look; todoke sender records again"
        " sends it once more"
    )


class CertificateRevoked(PeerNotRegistered):
    number = "E-6200"
    ja = "証明書は失効しています ({cause})。使い続けるなら新しい招待で組み直してください"
    en = "The certificate is revoked ({cause}). Pair again by a new invitation to go on"


class RevocationListUnusable(PeerError):
    number = "E-6201"
    exit_code = 62
    dimse_status = 0xA700
    http_status = 503
    ja = "失効リストが使えません ({cause})。新しいリストを置けば自動で続けます"
    en = "The revocation list cannot be used ({cause}). Put a new one there; it goes on by itself"


class NotRenewable(PeerError):
    number = "E-6202"
    exit_code = 62
    http_status = 409
    retryable = False
    ja = "この証明書はまだ更新できません ({cause})。期限が近づくと自動で更新します"
    en = "This certificate is not renewed yet ({cause}). It renews by itself before it ends"


class InstanceTooLarge(PeerError):
    number = "E-6100"
    exit_code = 65
    dimse_status = 0x0213  # resource limitation, PS3.7 C.5.24: final, unlike A700H
    http_status = 413
    retryable = False
    ja = "画像1件が上限 {limit} GB を超えます。受け取り側の設定 max_instance_gb を確かめてください"
    en = "One instance exceeds the limit of {limit} GB. Check max_instance_gb on the receiving side"


class WrongService(ProtocolError):
    number = "E-1103"
    ja = "相手のポートの種類が違います ({cause})。番号を確かめてください (TLSは 2762 など)"
    en = "The peer's port speaks something else ({cause}). Check the number (TLS is 2762 or such)"


class SignInFailed(TodokeError):
    number = "E-5001"
    exit_code = 2
    http_status = 401
    ja = "サインインできません。入力内容を確かめてください"
    en = "Sign-in failed. Check what you entered"


class NotSignedIn(TodokeError):
    number = "E-5002"
    exit_code = 2
    http_status = 401
    ja = "サインインが必要です。もう一度サインインしてください"
    en = "You are not signed in. Sign in again"


class RequestForbidden(TodokeError):
    number = "E-5003"
    exit_code = 2
    http_status = 403
    ja = "この操作は許可されていません ({cause})。管理者に連絡してください"
    en = "Not permitted ({cause}). Ask the administrator"


class NotPermitted(RequestForbidden):
    number = "E-1310"
    ja = "この操作の権限がありません ({cause})。管理者に連絡してください"
    en = "Your role does not permit this ({cause}). Ask the administrator"


class SessionLocked(NotSignedIn):
    number = "E-1311"
    ja = "離席のためロックしています。パスワードかパスキーで解除してください"
    en = "Locked while away. Unlock it with the password or the passkey"


class SecondStepNeeded(NotSignedIn):
    number = "E-1312"
    ja = "サインインが終わっていません。二要素目の確認か登録を済ませてください"
    en = "The sign-in is not complete. Give or enrol the second factor"


class CodeWrong(UsageError):
    number = "E-1313"
    http_status = 409
    ja = "確認コードが合いません。端末の時刻を確かめ、次に出るコードを入れてください"
    en = "The code does not match. Check the clock of the phone and enter its next code"


class PasskeyRefused(UsageError):
    number = "E-1314"
    http_status = 409
    ja = "パスキーを確かめられません ({cause})。もう一度やり直してください"
    en = "The passkey could not be verified ({cause}). Try again"


class LastFactor(UsageError):
    number = "E-1315"
    http_status = 409
    ja = "最後の二要素目は外せません。先に別の二要素目を登録してください"
    en = "The last second factor cannot be removed. Enrol another one first"


class PasswordNotRight(UsageError):
    number = "E-1316"
    http_status = 403
    ja = "パスワードが違います。いまのパスワードを入れ直してください"
    en = "The password is not right. Enter your present password again"


class PasskeyNeedsName(UsageError):
    number = "E-1317"
    http_status = 409
    ja = "パスキーは https とホスト名で開いた画面だけで使えます。アドレスを確かめてください"
    en = "Passkeys work only on a page opened by https and host name. Check the address"


class OwnAccount(UsageError):
    number = "E-1318"
    http_status = 409
    ja = "自分の役割の変更と停止は自分ではできません。ほかの管理者に頼んでください"
    en = "You cannot change your own role or disable yourself. Ask another administrator"


class SignInServiceAway(TodokeError):
    number = "E-1330"
    exit_code = 2
    http_status = 503
    retryable = True
    ja = (
        "病院の認証サービスを使えません ({cause})。利用者名とパスワードでサインインするか、"
        "管理者に連絡してください"
    )
    en = (
        "The sign-in service cannot be used ({cause}). Sign in with name and password, or ask"
        " the administrator"
    )


class Claimed(TodokeError):
    number = "E-4510"
    exit_code = 2
    http_status = 409
    ja = "{display} が読影中です ({at} から)。見るだけにするか、理由を付けて引き継いでください"
    en = "Being read by {display} since {at}. View only, or take over with a reason"


class SecondAnswer(TodokeError):
    number = "E-4511"
    exit_code = 2
    http_status = 409
    ja = "完了にする前に確かめてください ({cause})。それでよければもう一度答えてください"
    en = "Look again before it is done ({cause}). Answer a second time if it is right"


class CallNotSaid(TodokeError):
    number = "E-4512"
    exit_code = 2
    http_status = 409
    ja = "緊急の検査です。電話で伝えた相手と時刻を、伝えていなければその旨を答えてください"
    en = "This is urgent. Say who was told by phone and when, or that nobody was"


class NothingToTakeOver(TodokeError):
    number = "E-4513"
    exit_code = 2
    http_status = 409
    ja = "引き継ぐ相手がいません ({cause})。引き受けてください"
    en = "Nobody to take over from ({cause}). Claim it"


class AdviceSwitchedOff(TodokeError):
    number = "E-4514"
    exit_code = 2
    http_status = 403
    ja = "助言の文はこの施設では送れません。管理者が設定 advice_text で決めます"
    en = "Advice in words is not sent from this site. The administrator sets advice_text"


class NoNewsThere(PeerError):
    number = "E-4515"
    exit_code = 60
    retryable = False
    ja = "受信側の版が古く、照会を送れません。電話で伝えてください"
    en = "The receiver is an older version that takes no queries. Telephone instead"


class AlreadyHeld(TodokeError):
    number = "E-4516"
    exit_code = 2
    http_status = 409
    ja = (
        "消去はすでに {display} が保留しています ({at} から)。理由を変えるときは、"
        "管理者に receiver purge --release での解除を頼んでください"
    )
    en = (
        "{display} holds it from being purged already, since {at}. To change the reason, have the"
        " administrator release it first: receiver purge --release"
    )


class PriorNotAsSeen(TodokeError):
    number = "E-4517"
    exit_code = 2
    http_status = 409
    ja = "見比べた内容が変わったか、ほかの方が先に答えています。もう一度見比べてください"
    en = "What was compared has changed, or somebody else has answered. Compare again"


class TargetNotAgreed(UsageError):
    number = "E-4560"
    exit_code = 2
    http_status = 409
    ja = (
        "転送先 {target} は取り決めた一覧にありません。"
        "管理者が todoke receiver forward target add で加えます"
    )
    en = (
        "{target} is not on the agreed list of targets. The administrator adds it with"
        " `todoke receiver forward target add`"
    )


class NoTestForwarded(UsageError):
    number = "E-4561"
    exit_code = 2
    http_status = 409
    ja = "試験の検査は診断用のシステムに転送しません。実際の検査を選んでください"
    en = "A test study is not forwarded to a system for diagnosis. Choose a real study"


class TargetFolderGone(StorageError):
    number = "E-4562"
    ja = "転送先 {target} のフォルダーがありません。共有フォルダーの接続を確かめてください"
    en = "The folder of {target} is not there. Check whether the share is mounted"


class ForwardedDiffers(StorageError):
    number = "E-4563"
    ja = (
        "転送先 {target} に書いた画像を読み返すと違っていました。転送先のディスクを確かめてください"
    )
    en = "What was written to {target} reads back differently. Check the disk of the target"


class NothingToForward(UsageError):
    number = "E-4564"
    exit_code = 21
    http_status = 409
    ja = "転送する画像がありません (取消または消去済み)。依頼側に確かめてください"
    en = "There is no image to forward (recalled or purged). Ask the requesting side"


class VideoNotPlayed(CannotDisplay):
    number = "E-4570"
    ja = (
        "この動画はブラウザで再生できない形式です ({cause})。"
        "そのままの形で診断用ビューアへ転送してください (Shift+F)"
    )
    en = (
        "This video is in a form that browsers do not play ({cause})."
        " Forward it as it is to the certified viewer (Shift+F)"
    )


class DocumentNotShown(CannotDisplay):
    number = "E-4571"
    ja = (
        "この文書はこの画面では表示できません ({cause})。診断用ビューアへ転送してください (Shift+F)"
    )
    en = (
        "This document cannot be shown here ({cause}). Forward it to the certified viewer (Shift+F)"
    )
