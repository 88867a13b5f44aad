"""Letters of other scripts that look like a Latin letter, after NFKC (which already maps full-width, circled and mathematical ones)."""

from __future__ import annotations

_LOOKS_LIKE: dict[str, str] = {
    # Latin letter: Cyrillic, Greek, Armenian, Cherokee, small capitals and other look-alikes.
    "a": "аαɑᴀⲁ", "b": "ЬƄʙɓ", "c": "сϲᴄⅽ", "d": "ԁɗᴅ", "e": "еҽєᴇεӗ", "f": "ꜰϝƒ", "g": "ɡցɢ", "h": "һհʜ", "i": "іıɩιɪ", "j": "јϳᴊ",
    "k": "κкᴋ", "l": "ӏʟⅼ", "m": "мᴍ", "n": "ոռɴηп", "o": "оοօᴏσɔⲟ", "p": "рρᴘ", "q": "ԛգ", "r": "гʀᴦ", "s": "ѕꜱʂ", "t": "тᴛτ",
    "u": "υսᴜʋц", "v": "νѵᴠ", "w": "ԝաᴡωѡ", "x": "хχⅹ", "y": "уүγʏყ", "z": "ᴢʐ",
    "A": "АΑᎪ", "B": "ВΒᏴ", "C": "СϹᏟ", "D": "Ꭰ", "E": "ЕΕᎬ", "F": "Ϝ", "G": "Ԍ", "H": "НΗᎻ", "I": "ІΙӀ", "J": "ЈᎫ", "K": "КΚᏦ", "L": "Ꮮ",
    "M": "МΜᎷ", "N": "Ν", "O": "ОΟՕ", "P": "РΡᏢ", "Q": "Ԛ", "R": "Ꭱ", "S": "ЅՏᏚ", "T": "ТΤᎢ", "U": "Ս", "V": "ѴᏙ", "W": "ԜᎳ", "X": "ХΧ",
    "Y": "ΥҮ", "Z": "ΖᏃ",
}

CONFUSABLES: dict[int, str] = {ord(char): latin for latin, chars in _LOOKS_LIKE.items() for char in chars}
"""Code point of a look-alike to its Latin letter, for `str.translate`."""
