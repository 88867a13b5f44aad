"""Word lists of the templates and of the identity swaps: groups of people, and neutral, kind and hostile fillings."""

from __future__ import annotations

_SINGULAR_PLURAL = """
jew|jews;muslim|muslims;christian|christians;catholic|catholics;hindu|hindus;buddhist|buddhists;sikh|sikhs;atheist|atheists;
black person|black people;white person|white people;asian|asians;african|africans;arab|arabs;mexican|mexicans;latina|latinas;
indian|indians; chinese person|chinese people;pakistani|pakistanis;turk|turks;pole|poles;immigrant|immigrants;refugee|refugees;
foreigner|foreigners;migrant|migrants; woman|women;girl|girls;man|men;trans person|trans people;trans woman|trans women;gay
person|gay people;gay man|gay men;lesbian|lesbians; bisexual|bisexuals;homosexual|homosexuals;queer person|queer people;disabled
person|disabled people;deaf person|deaf people;blind person|blind people; autistic person|autistic people;old person|old people;
teenager|teenagers;gypsy|gypsies;roma|roma;native american|native americans;feminist|feminists
"""

_PAIRS = tuple(tuple(" ".join(words.split()) for words in pair.split("|")) for pair in _SINGULAR_PLURAL.split(";"))
PEOPLE: tuple[str, ...] = tuple(pair[0] for pair in _PAIRS)
GROUPS: tuple[str, ...] = tuple(pair[1] for pair in _PAIRS)

SLOTS: dict[str, tuple[str, ...]] = {
    "vile": (
        "scum",
        "vermin",
        "animals",
        "trash",
        "parasites",
        "filth",
        "pigs",
        "subhuman",
        "disgusting",
        "evil",
        "rats",
        "savages",
        "garbage",
    ),
    "bad": ("stupid", "dumb", "disgusting", "lazy", "dirty", "ugly", "worthless", "pathetic", "useless", "greedy", "moronic", "filthy"),
    "good": ("amazing", "great", "awesome", "brilliant", "beautiful", "lovely", "good", "kind", "wonderful", "funny"),
    "kill": ("kill", "shoot", "hang", "beat", "stab", "exterminate", "burn", "hurt", "strangle", "murder"),
    "killed": ("killed", "shot", "hanged", "gassed", "beaten", "exterminated", "burned alive", "wiped out", "executed", "stoned"),
    "name": ("Maria", "John", "Ahmed", "Wei", "David", "Aisha", "Peter", "Olga", "Jamal", "Emma", "Carlos", "Sarah"),
    "bodypart": ("legs", "neck", "jaw", "skull", "face", "nose"),
    "thing": (
        "phone",
        "movie",
        "game",
        "homework",
        "laptop",
        "album",
        "car",
        "meeting",
        "song",
        "show",
        "project",
        "exam",
        "update",
        "app",
    ),
    "food": ("pizza", "sandwich", "burger", "salad", "cake", "curry", "coffee", "taco"),
    "insult": (
        "an idiot",
        "a moron",
        "a loser",
        "a piece of shit",
        "a clown",
        "pathetic",
        "an asshole",
        "a bitch",
        "a liar and a coward",
        "trash",
        "a disgrace",
        "stupid",
        "a dumbass",
        "ugly",
        "a creep",
        "a failure",
    ),
    "reclaimed": ("queer", "dyke", "bitch", "nigga", "fag", "slut", "crip", "nerd"),
}

# Swapped only inside a row: the sentence keeps its grammar and its meaning stays of the same kind.
SWAPS: tuple[tuple[str, ...], ...] = (
    ("jews", "muslims", "christians", "catholics", "hindus", "buddhists", "sikhs", "atheists"),
    ("jew", "muslim", "christian", "catholic", "hindu", "buddhist", "sikh"),
    ("jewish", "muslim", "christian", "catholic", "hindu", "buddhist"),
    ("blacks", "whites", "asians", "africans", "arabs", "mexicans", "latinos", "indians"),
    ("black", "white", "asian", "african", "arab", "mexican", "latino", "indian", "chinese"),
    ("women", "men", "girls", "boys", "ladies", "guys"),
    ("woman", "man", "girl", "boy", "lady", "guy"),
    ("gays", "lesbians", "bisexuals", "homosexuals", "heterosexuals"),
    ("gay", "lesbian", "bisexual", "homosexual", "trans", "straight", "queer"),
    ("immigrants", "migrants", "refugees", "foreigners"),
    ("judaism", "islam", "christianity", "hinduism", "buddhism"),
)
