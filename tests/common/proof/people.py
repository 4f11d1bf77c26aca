"""A thousand and more invented people, their names written as in Japanese hospitals."""

from __future__ import annotations

import random
from collections.abc import Iterator

from common.dicom import uids
from samples.names import PATIENTS
from tests.common.proof.scan import Person

FAMILIES = (
    "髙橋 タカハシ TAKAHASHI", "山﨑 ヤマザキ YAMAZAKI", "𠮷田 ヨシダ YOSHIDA",
    "佐々木 ササキ SASAKI", "渡邊 ワタナベ WATANABE", "齋藤 サイトウ SAITO",
    "濵田 ハマダ HAMADA", "五十嵐 イガラシ IGARASHI", "小林 コバヤシ KOBAYASHI",
    "長谷川 ハセガワ HASEGAWA", "勅使河原 テシガワラ TESHIGAWARA", "後藤 ゴトウ GOTO",
    "菅野 カンノ KANNO", "遠藤 エンドウ ENDO", "廣瀬 ヒロセ HIROSE", "德永 トクナガ TOKUNAGA",
    "坂本 サカモト SAKAMOTO", "藤﨑 フジサキ FUJISAKI", "西村 ニシムラ NISHIMURA",
    "大久保 オオクボ OKUBO", "宮﨑 ミヤザキ MIYAZAKI", "神﨑 カンザキ KANZAKI",
    "黑田 クロダ KURODA", "栁澤 ヤナギサワ YANAGISAWA", "久保田 クボタ KUBOTA",
    "早乙女 サオトメ SAOTOME", "松浦 マツウラ MATSUURA", "服部 ハットリ HATTORI",
    "安倍 アベ ABE", "清水 シミズ SHIMIZU",
)  # fmt: skip
GIVEN = (
    "花子 ハナコ HANAKO", "一郎 イチロウ ICHIRO", "さくら サクラ SAKURA", "太郎 タロウ TARO",
    "美咲 ミサキ MISAKI", "健一 ケンイチ KENICHI", "陽菜 ヒナ HINA", "翔太 ショウタ SHOTA",
    "和子 カズコ KAZUKO", "幸雄 ユキオ YUKIO", "節子 セツコ SETSUKO", "蓮 レン REN",
    "結衣 ユイ YUI", "勇 イサム ISAMU", "千代子 チヨコ CHIYOKO", "正 タダシ TADASHI",
    "裕美 ヒロミ HIROMI", "大輔 ダイスケ DAISUKE", "ゆかり ユカリ YUKARI", "清 キヨシ KIYOSHI",
    "文子 フミコ FUMIKO", "茂 シゲル SHIGERU", "愛 アイ AI", "修 オサム OSAMU",
    "久美子 クミコ KUMIKO", "誠 マコト MAKOTO", "弘 ヒロシ HIROSHI", "恵子 ケイコ KEIKO",
    "豊 ユタカ YUTAKA", "凛 リン RIN", "隆 タカシ TAKASHI", "明美 アケミ AKEMI",
    "学 マナブ MANABU", "真由美 マユミ MAYUMI", "剛 ツヨシ TSUYOSHI",
)  # fmt: skip


def people(seed: int = 6) -> Iterator[Person]:
    """Yield every family name with every given name, and the people of the samples."""
    draw = random.Random(seed)

    def unique() -> tuple[str, ...]:
        return tuple(uids.new_uid() for _ in range(3))

    for patient in PATIENTS:
        yield Person(patient.name, patient.patient_id, patient.birth_date, unique())
    for family in FAMILIES:
        for given in GIVEN:
            kanji, kana, roman = zip(family.split(), given.split(), strict=True)
            groups = "=".join("^".join(group) for group in (roman, kanji, kana))
            if groups in {patient.name for patient in PATIENTS}:
                continue
            year, month, day = draw.randint(1914, 2025), draw.randint(1, 12), draw.randint(1, 28)
            number = f"P-{draw.randrange(10**7, 10**8)}"
            yield Person(groups, number, f"{year}{month:02}{day:02}", unique())
