"""What each event of a trail is in DICOM's words (PS3.15 A.5.3; codes of PS3.16 CID 400, 401).

The one table that messages, the auditor's page and docs/reference/audit.md are made from.
"""

from __future__ import annotations

from dataclasses import dataclass

DCM = "DCM"
OURS = "99TODOKE"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value."""

    value: str
    meaning: str
    system: str = DCM


ACTIVITY = Code("110100", "Application Activity")
LOG_USED = Code("110101", "Audit Log Used")
BEGIN = Code("110102", "Begin Transferring DICOM Instances")
ACCESSED = Code("110103", "DICOM Instances Accessed")
TRANSFERRED = Code("110104", "DICOM Instances Transferred")
DELETED = Code("110105", "DICOM Study Deleted")
EXPORT = Code("110106", "Export")
QUERY = Code("110112", "Query")
ALERT = Code("110113", "Security Alert")
AUTHENTICATION = Code("110114", "User Authentication")

_START = Code("110120", "Application Start")
_STOP = Code("110121", "Application Stop")
_LOGIN = Code("110122", "Login")
_LOGOUT = Code("110123", "Logout")
_NODE = Code("110126", "Node Authentication")
_EMERGENCY = Code("110127", "Emergency Override Started")
_CONFIGURED = Code("110129", "Security Configuration")
_RESTRICTED = Code("110132", "Use of Restricted Function")
_USER_CHANGED = Code("110137", "User Security Attributes Changed")
_REMOTE_BEGUN = Code("110139", "Remote Service Operation Started")
_REMOTE_ENDED = Code("110140", "Remote Service Operation Stopped")


def _ours(value: str, meaning: str) -> Code:
    return Code(value, meaning, OURS)


@dataclass(frozen=True, slots=True)
class Event:
    """What an event of a trail is.

    Attributes
    ----------
    id : Code
        EventID.
    type : Code
        EventTypeCode.
    action : str
        EventActionCode: C, R, U, D or E.
    ja, en : str
        For an auditor.
    """

    id: Code
    type: Code
    action: str
    ja: str
    en: str


#: Of an event that has no row: it is said all the same.
OTHER = Event(ALERT, _RESTRICTED, "E", "その他", "Other")

EVENTS: dict[str, Event] = {
    "started": Event(ACTIVITY, _START, "E", "起動", "Started"),
    "stopped": Event(ACTIVITY, _STOP, "E", "停止", "Stopped"),
    "continued": Event(ACTIVITY, _ours("FILE", "Next file begun"), "E",
                       "次の記録ファイルを開始", "Next file of the trail begun"),
    "sign-in": Event(AUTHENTICATION, _LOGIN, "E", "サインイン", "Signed in"),
    "sign-out": Event(AUTHENTICATION, _LOGOUT, "E", "サインアウト", "Signed out"),
    "session-locked": Event(AUTHENTICATION, _ours("LOCK", "Session locked"), "E",
                            "画面ロック", "Session locked"),
    "session-unlocked": Event(AUTHENTICATION, _ours("UNLOCK", "Session unlocked"), "E",
                              "ロック解除", "Session unlocked"),
    "account": Event(ALERT, _USER_CHANGED, "U", "アカウントの変更", "Account changed"),
    "break-glass": Event(ALERT, _EMERGENCY, "E", "非常時アカウント", "Emergency access"),
    "study-accessed": Event(ACCESSED, _ours("ACCESS", "Study accessed"), "R",
                            "検査の情報・画像を参照", "Study or its images accessed"),
    "study-access-ended": Event(ACCESSED, _ours("ACCESSED", "Access ended"), "R",
                                "参照の終わり (時間・回数)", "Access ended (duration, requests)"),
    "list-accessed": Event(QUERY, _ours("LIST", "Work list shown"), "E",
                           "一覧を参照", "Work list accessed"),
    "study-searched": Event(QUERY, _ours("QIDO", "QIDO-RS search"), "E",
                            "DICOMweb で検索", "Searched by DICOMweb"),
    "study-opened": Event(ACCESSED, _ours("OPEN", "Study opened"), "R",
                          "検査を開いた", "Study opened"),
    "paper-opened": Event(ACCESSED, _ours("PAPER", "Document or video opened"), "R",
                          "文書・動画を開いた", "Document or video opened"),
    "study-looked": Event(ACCESSED, _ours("LOOK", "Study looked at without a claim"), "R",
                          "担当せずに参照", "Looked at without a claim"),
    "study-claimed": Event(ACCESSED, _ours("CLAIM", "Study claimed"), "U",
                           "担当", "Study claimed"),
    "study-taken-over": Event(ACCESSED, _ours("TAKEOVER", "Study taken over"), "U",
                              "担当の交代", "Study taken over"),
    "study-done": Event(ACCESSED, _ours("DONE", "Study done"), "U", "完了", "Study done"),
    "study-state": Event(ACCESSED, _ours("STATE", "State of a study set"), "U",
                         "状態の変更", "State set"),
    "incomplete-accepted": Event(ACCESSED, _ours("INCOMPLETE", "Read while incomplete"), "R",
                                 "未完了のまま参照", "Read while incomplete"),
    "query-sent": Event(ACCESSED, _ours("INQUIRY", "Inquiry to the requesting side"), "U",
                        "照会", "Inquiry sent"),
    "label-checked": Event(ACCESSED, _ours("LABEL", "Label compared with the request"), "U",
                           "ラベルと依頼の照合", "Label compared with the request"),
    "rescan-asked": Event(ACCESSED, _ours("RESCAN", "Rescan asked for"), "U",
                          "再走査依頼", "Rescan asked for"),
    "prior-asked": Event(ACCESSED, _ours("PRIOR", "Prior images asked for"), "U",
                         "過去画像の依頼", "Prior images asked for"),
    "possible-priors-shown": Event(ACCESSED, _ours("SAMEPERSON", "Possible priors shown"), "R",
                                   "同じ方かもしれない過去検査を参照",
                                   "Possible priors of the same person shown"),
    "prior-linked": Event(ACCESSED, _ours("LINK", "Confirmed as one person"), "U",
                          "ID相違の過去検査を同じ方と確認",
                          "Prior under another ID confirmed as the same person"),
    "prior-dismissed": Event(ACCESSED, _ours("NOTSAME", "Said to be two people"), "U",
                             "ID相違の過去検査を別の方と確認",
                             "Prior under another ID said to be another person"),
    "prior-link-undone": Event(ACCESSED, _ours("UNLINK", "Confirmation taken back"), "U",
                               "同じ方・別の方の確認の取消",
                               "What was said of a prior under another ID taken back"),
    "told-by-phone": Event(ACCESSED, _ours("PHONE", "Told by telephone"), "U",
                           "電話連絡の記録", "Told by telephone"),
    "marks-saved": Event(ACCESSED, _ours("MARKS", "Marks saved"), "U",
                         "計測・印の保存", "Marks saved"),
    "forwarded": Event(EXPORT, _ours("FORWARD", "Forwarded to an agreed system"), "R",
                       "他システムへ転送", "Forwarded to another system"),
    "provision-exported": Event(EXPORT, _ours("PROVISION", "Records of provision exported"), "R",
                                "第三者提供記録の書き出し", "Records of provision exported"),
    "transfer-begun": Event(BEGIN, _ours("TRANSFER", "Direct transmission"), "E",
                            "送受信の開始", "Transfer begun"),
    "transfer-ended": Event(TRANSFERRED, _ours("TRANSFER", "Direct transmission"), "C",
                            "送受信の終わり", "Transfer ended"),
    "transfer-disagrees": Event(ALERT, _ours("DISAGREE", "Begin and end of a transfer differ"),
                                "E", "送受信の開始と終わりの食い違い",
                                "Begin and end of a transfer differ"),
    "purged": Event(DELETED, _ours("PURGE", "Purged after its time"), "D",
                    "保存期間後の消去", "Images purged"),
    "security-alert": Event(ALERT, _NODE, "E", "拒否した接続・要求", "Refused"),
    "alarm": Event(ALERT, _ours("ALARM", "Alarm"), "E", "警報", "Alarm"),
    "audit-broken": Event(ALERT, _ours("TAMPERED", "Audit trail does not hold together"), "E",
                          "監査記録の不整合", "Audit trail does not hold together"),
    "clock-off": Event(ALERT, _ours("CLOCK", "Clock off or not known"), "E",
                       "時計のずれ", "Clock off"),
    "partner-revoked": Event(ALERT, _CONFIGURED, "U", "相手の失効", "Partner revoked"),
    "certificate-renewed": Event(ALERT, _CONFIGURED, "U", "証明書の更新", "Certificate renewed"),
    "setting": Event(ALERT, _CONFIGURED, "U", "設定の変更", "Setting changed"),
    "maintenance-begun": Event(ALERT, _REMOTE_BEGUN, "E", "リモート保守の開始",
                               "Remote maintenance begun"),
    "maintenance-ended": Event(ALERT, _REMOTE_ENDED, "E", "リモート保守の終わり",
                               "Remote maintenance ended"),
    "monitor-check": Event(ACTIVITY, _ours("MONITOR", "Monitor checked"), "E",
                           "モニターの点検", "Monitor checked"),
    "audit-read": Event(LOG_USED, _ours("READ", "Audit log read"), "R",
                        "監査記録の参照", "Audit trail read"),
    "audit-exported": Event(LOG_USED, _ours("COPY", "Audit log exported"), "R",
                            "監査記録の書き出し", "Audit trail exported"),
    "audit-verified": Event(LOG_USED, _ours("VERIFY", "Audit log verified"), "R",
                            "監査記録の検証", "Audit trail verified"),
    "audit-signed-off": Event(LOG_USED, _ours("SIGNOFF", "Periodic review signed off"), "R",
                              "定期確認", "Periodic review signed off"),
    "purge-hold": Event(ACCESSED, _ours("HOLD", "Purge held"), "U", "消去の保留", "Purge held"),
    "purge-release": Event(ACCESSED, _ours("RELEASE", "Purge released"), "U",
                           "消去の保留の解除", "Purge released"),
    "purge-notice": Event(ACTIVITY, _ours("NOTICE", "Purge announced"), "E",
                          "消去の予告", "Purge announced"),
    "repaired": Event(TRANSFERRED, _ours("REPAIR", "Damaged instance replaced"), "U",
                      "破損画像の復旧", "Damaged image replaced"),
    "not-repairable": Event(ALERT, _ours("LOST", "Damaged instance cannot come again"), "E",
                            "破損画像が復旧できない", "Damaged image cannot come again"),
    "record-differs": Event(ALERT, _ours("RECORD", "Evidence record differs"), "E",
                            "証跡の食い違い", "Evidence record differs"),
    "record-conflict": Event(ALERT, _ours("RECORD", "Evidence record conflicts"), "E",
                             "証跡の番号の衝突", "Evidence record conflicts"),
    "anchor-differs": Event(ALERT, _ours("RECORD", "Evidence anchor differs"), "E",
                            "証跡の封の食い違い", "Evidence anchor differs"),
    "recalled": Event(TRANSFERRED, _ours("RECALL", "Transfer recalled"), "U",
                      "送信の取り消し", "Transfer recalled"),
    "stopped-by-sender": Event(TRANSFERRED, _ours("STOP", "Transfer stopped by its sender"), "U",
                               "送信側で停止", "Transfer stopped by its sender"),
}  # fmt: skip


def of(name: str) -> Event:
    """Return what an event is."""
    return EVENTS.get(name, OTHER)
