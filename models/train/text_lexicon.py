"""Word patterns for weak cells: where a source is silent, these decide what may be taken as harmless, and what is plain."""

from __future__ import annotations

import re

SWEARS = re.compile(
    r"(?<![a-z])(?:mother)?(?:fuck\w*|shit\w*|bullshit|cunts?|bitch\w*|ass(?:es|hole\w*)?|dumbass|jackass|"
    r"dick(?:s|head\w*)?|cocksuck\w*|pussy|pussies|"
    r"wank\w*|twats?|bastards?|whor(?:e|es|ing)|sluts?|goddamn\w*|piss(?:ed|ing)?|crap(?:py)?|damn(?:ed|it)?|"
    r"bollocks|hoes?|fag(?:s|got\w*)?|nigg\w+)(?![a-z])",
    re.IGNORECASE,
)
"""Any swear word or slur, mild ones too."""

STRONG = re.compile(
    r"(?<![a-z])(?:mother)?(?:fuck\w*|shit\w*|bullshit|cunts?|bitch\w*|asshole\w*|dickhead\w*|cocksuck\w*|"
    r"wank\w*|twats?)(?![a-z])",
    re.IGNORECASE,
)
"""Swear words that are obscene wherever they stand."""

SEXUAL = re.compile(
    r"(?<![a-z])(?:sex\w*|porn\w*|blow ?jobs?|hand ?jobs?|cum\w{0,5}|dildo\w*|vibrator\w*|masturbat\w*|"
    r"orgasm\w*|horny|nudes?|naked|boobs?|tits?|titties|pussy|pussies|"
    r"cocks?|dicks?|penis\w*|vagina\w*|anal|rap(?:e|ed|ing|ist)|fuck (?:me|her|him|you)|suck my|lick my|"
    r"erotic\w*|xxx|slut\w*|whore\w*|thong|panties|milf)(?![a-z])",
    re.IGNORECASE,
)
"""Anything that may be about sex."""

EXPLICIT = re.compile(
    r"(?<![a-z])(?:blow ?jobs?|hand ?jobs?|cum(?:ming|shots?)|dildos?|masturbat\w*|orgasms?|horny|"
    r"deep ?throat\w*|anal sex|suck(?:ing)? (?:my|his|your) (?:dick|cock)s?|"
    r"(?:my|your|his) (?:cock|dick|penis) (?:in|into|inside|up|down) (?:your|her|his|my)|lick(?:ing)? (?:my|"
    r"her|your) (?:pussy|clit)|big tits|send nudes|hardcore porn|"
    r"fuck (?:her|your|my|his) (?:pussy|ass|mouth|brains)|(?:hot|horny) (?:teens?|girls?|sluts?) (?:wait|want|"
    r"ready)\w*)(?![a-z])",
    re.IGNORECASE,
)
"""Sexually explicit wording."""

VIOLENT = re.compile(
    r"(?<![a-z])(?:kill\w*|murder\w*|shoot\w*|shot|stab\w*|hang\w*|hung|burn\w*|beat\w*|rap(?:e|ed|ing)|die|"
    r"dead|death|hurt\w*|punch\w*|slap\w*|smash\w*|gun\w*|knife|"
    r"bomb\w*|gas(?:sed)?|exterminat\w*|execut\w*|lynch\w*|strangl\w*|break your|find you|destroy\w*|"
    r"eliminat\w*|attack\w*|fight\w*|kick\w*|threat\w*|ston(?:e|ed|ing))(?![a-z])",
    re.IGNORECASE,
)
"""Anything that may be about violence."""

CALL = re.compile(
    r"(?<![a-z])(?:i(?:'ll| will|'m going to|'m gonna| am going to| want to)|we(?:'ll| will| should| must|"
    r" need to)|let's|someone should|somebody should|lets) "
    r"(?:kill|shoot|stab|hang|murder|exterminate|gas|lynch|burn|behead|execute|beat|bomb) (?:you|them|all|"
    r"every|the|these|those|that|him|her)\b|"
    r"(?<![a-z])(?:should|must|need to|deserve to|ought to) (?:all )?(?:be |get )?(?:shot|hanged|hung|gassed|"
    r"killed|exterminated|executed|lynched|burned|beheaded|stoned|beaten|die)\b|"
    r"(?<![a-z])(?:kill|exterminate|gas|lynch|shoot|hang|behead) (?:all|every|them all|those) ",
    re.IGNORECASE,
)
"""A first person announcing violence, or a call for it."""

SUICIDAL = re.compile(
    r"suicid|kill(?:ing)? (?:my|your|him|her|them)sel|self.?harm|\bkys\b|\bkms\b|cut(?:ting)? (?:my|your)sel|"
    r"hang (?:my|your)sel|want(?:ed)? to die|end (?:my|your) life",
    re.IGNORECASE,
)
"""Anything that may be about suicide or self-injury."""

PROMOTES = re.compile(
    r"https?|www|subscrib|check (?:out|my)|free|click|buy|offer|win(?:ner)?\b|\$|£|channel|visit|call|txt|"
    r"prize|discount",
    re.IGNORECASE,
)
"""Anything that may be promotion."""
