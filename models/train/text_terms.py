"""Word lists of the templates and of the identity swaps: groups of people, and neutral, kind and hostile fillings."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(words.split()) for words in text.split(";"))


_SINGULAR_PLURAL = """
jew|jews;muslim|muslims;christian|christians;catholic|catholics;hindu|hindus;buddhist|buddhists;sikh|sikhs;atheist|atheists;
mormon|mormons;protestant|protestants;jewish person|jewish people;muslim man|muslim men;muslim woman|muslim women;
black person|black people;white person|white people;asian|asians;african|africans;arab|arabs;mexican|mexicans;latina|latinas;
latino|latinos;black man|black men;black woman|black women;brown person|brown people;asian woman|asian women;african american|african americans;
indian|indians;chinese person|chinese people;pakistani|pakistanis;turk|turks;pole|poles;russian|russians;ukrainian|ukrainians;
german|germans;nigerian|nigerians;somali|somalis;syrian|syrians;afghan|afghans;iranian|iranians;iraqi|iraqis;israeli|israelis;
palestinian|palestinians;kurd|kurds;moroccan|moroccans;romanian|romanians;albanian|albanians;filipino|filipinos;vietnamese person|
vietnamese people;korean|koreans;japanese person|japanese people;brazilian|brazilians;colombian|colombians;irish person|irish people;
bangladeshi|bangladeshis;ethiopian|ethiopians;european|europeans;american|americans;immigrant|immigrants;refugee|refugees;
foreigner|foreigners;migrant|migrants;asylum seeker|asylum seekers;woman|women;girl|girls;man|men;mother|mothers;
trans person|trans people;trans woman|trans women;trans man|trans men;transgender person|transgender people;
non-binary person|non-binary people;intersex person|intersex people;gay person|gay people;gay man|gay men;lesbian|lesbians;
bisexual|bisexuals;homosexual|homosexuals;queer person|queer people;gay|gays;lgbt person|lgbt people;disabled person|disabled people;
deaf person|deaf people;blind person|blind people;autistic person|autistic people;wheelchair user|wheelchair users;
person with down syndrome|people with down syndrome;dyslexic person|dyslexic people;mentally ill person|mentally ill people;
person in a wheelchair|people in wheelchairs;old person|old people;elderly person|elderly people;pensioner|pensioners;
teenager|teenagers;gypsy|gypsies;roma|roma;native american|native americans;aboriginal|aboriginals;traveller|travellers;feminist|feminists
"""

_PAIRS = tuple(tuple(" ".join(words.split()) for words in pair.split("|")) for pair in _SINGULAR_PLURAL.split(";"))
PEOPLE: tuple[str, ...] = tuple(pair[0] for pair in _PAIRS)
GROUPS: tuple[str, ...] = tuple(pair[1] for pair in _PAIRS)

SLOTS: dict[str, tuple[str, ...]] = {
    "vile": _words(
        "scum;vermin;animals;trash;parasites;filth;pigs;subhuman;disgusting;evil;rats;savages;garbage;filthy;monsters;a plague;"
        "pure evil;the lowest of the low;criminals;thieves;freaks;leeches"
    ),
    "bad": _words(
        "stupid;dumb;disgusting;lazy;dirty;ugly;worthless;pathetic;useless;greedy;moronic;filthy;primitive;violent;sick;vile;"
        "horrible;nasty;inferior;backward"
    ),
    "good": _words("amazing;great;awesome;brilliant;beautiful;lovely;good;kind;wonderful;funny;smart;fantastic;sweet;incredible;nice"),
    "animal": _words("rats;cockroaches;pigs;dogs;monkeys;apes;vermin;leeches;snakes;locusts;insects;maggots;beasts;animals;parasites"),
    "kill": _words("kill;shoot;hang;beat;stab;exterminate;burn;hurt;strangle;murder;execute;torture;behead"),
    "killed": _words(
        "killed;shot;hanged;gassed;beaten;exterminated;burned alive;wiped out;executed;stoned;murdered;put down;slaughtered;tortured"
    ),
    "name": _words(
        "Maria;John;Ahmed;Wei;David;Aisha;Peter;Olga;Jamal;Emma;Carlos;Sarah;Tom;Priya;Kevin;Fatima;Mike;Chloe;Yuki;Ben;Anna;Omar"
    ),
    "bodypart": _words("legs;neck;jaw;skull;face;nose;teeth;head;arm"),
    "thing": _words(
        "phone;movie;game;homework;laptop;album;car;meeting;song;show;project;exam;update;app;book;printer;website;video;bike;match"
    ),
    "food": _words("pizza;sandwich;burger;salad;cake;curry;coffee;taco;soup;pasta;pie;kebab;breakfast"),
    "insult": _words(
        "an idiot;a moron;a loser;a piece of shit;a clown;pathetic;an asshole;a bitch;a liar and a coward;trash;a disgrace;stupid;"
        "a dumbass;ugly;a creep;a failure;a joke;a fat pig;a waste of space;an imbecile;a complete twat;worthless;a dickhead;a snake"
    ),
    "insult2": _words(
        "idiot;moron;loser;clown;asshole;bitch;coward;liar;dumbass;creep;imbecile;twat;dickhead;wanker;pig;cow;muppet;rat;tosser;"
        "scumbag;cunt;douchebag;prick;weirdo"
    ),
    "reclaimed": _words("queer;dyke;bitch;nigga;fag;slut;crip;nerd;tranny"),
    "slur": _words(
        "faggot;fag;nigger;kike;spic;chink;paki;tranny;dyke;retard;wetback;raghead;towelhead;gook;coon;gyppo;shemale;kaffir;mongoloid;whore"
    ),
    "slurs": _words(
        "faggots;fags;niggers;kikes;spics;chinks;pakis;trannies;dykes;retards;wetbacks;ragheads;towelheads;gooks;coons;gyppos;"
        "shemales;kaffirs;mongoloids;whores"
    ),
    "tribe": _words(
        "artists;capitalists;landlords;vegans;cyclists;bankers;politicians;gamers;tourists;influencers;lawyers;journalists;republicans;"
        "democrats;tories;communists;liberals;conservatives;Arsenal fans;Chelsea fans;hipsters;smokers;hunters;estate agents;billionaires;"
        "managers;iPhone users;Android users;football players;spammers;telemarketers;anti-vaxxers;Trump voters;Labour voters;nazis;racists;"
        "traffic wardens;slow drivers;meat eaters;boy bands;tech bros;CEOs"
    ),
    "tribe2": _words("mosquitoes;wasps;slugs;ticks;bed bugs;rats;spiders;weeds;cockroaches;moths;ants;zombies;computer viruses;pop-up ads"),
    "relation": _words("brother;sister;neighbour;colleague;teacher;boss;friend;cousin;landlord;flatmate;wife;husband;father;mother;ex"),
    "place": _words("school;town;street;office;village;building;gym;park;church;mosque;club;shop;hospital;library;station;university"),
    "country": _words("France;India;China;Israel;Iran;Turkey;Poland;Brazil;Nigeria;Mexico;Japan;Russia;Spain;Egypt;Canada;Germany"),
    "brand": _words("PayPal;Amazon;Netflix;Apple;DHL;Royal Mail;Barclays;Chase;Microsoft;Spotify;eBay;Gucci;Nike;Rolex;Steam"),
    "prize": _words("iPhone 15;£1000 gift card;$500 voucher;PlayStation 5;free cruise;holiday in Spain;new car;MacBook;$1,000 cash prize"),
    "sum": _words("$500;£200;$50;€1,000;$2000;£19.99;$10,000;50 dollars;300 pounds;$4.7;£75"),
    "url": _words(
        "http://bit.ly/2xQ9;www.win-now.top;https://secure-login.info/verify;tinyurl.com/offer7;http://parcel-fee.co;www.myblog.com/post;"
        "https://docs.example.org/a1;deal4you.biz;bit.ly/free-now;youtu.be/x8Kq"
    ),
    "code": _words("482913;7741;G-390211;55 09 12;B204;119203;A-8812;0047"),
}

# Swapped only inside a row: the sentence keeps its grammar and its meaning stays of the same kind.
SWAPS: tuple[tuple[str, ...], ...] = (
    ("jews", "muslims", "christians", "catholics", "hindus", "buddhists", "sikhs", "atheists"),
    ("jew", "muslim", "christian", "catholic", "hindu", "buddhist", "sikh"),
    ("jewish", "muslim", "christian", "catholic", "hindu", "buddhist"),
    ("blacks", "whites", "asians", "africans", "arabs", "mexicans", "latinos", "indians", "pakistanis", "nigerians", "turks"),
    ("black", "white", "asian", "african", "arab", "mexican", "latino", "indian", "chinese", "pakistani", "turkish", "somali"),
    ("women", "men", "girls", "boys", "ladies", "guys"),
    ("woman", "man", "girl", "boy", "lady", "guy"),
    ("gays", "lesbians", "bisexuals", "homosexuals", "heterosexuals"),
    ("gay", "lesbian", "bisexual", "homosexual", "trans", "transgender", "straight", "queer"),
    ("immigrants", "migrants", "refugees", "foreigners"),
    ("immigrant", "migrant", "refugee", "foreigner"),
    ("disabled", "deaf", "blind", "autistic", "elderly"),
    ("judaism", "islam", "christianity", "hinduism", "buddhism"),
)

# Words by which a text names a group, for slices by who is spoken of.
IDENTITIES: dict[str, str] = {
    "women": r"wom[ae]n|girls?|females?|lad(?:y|ies)|feminists?",
    "men": r"m[ae]n|boys?|males?|guys?",
    "black": r"blacks?|african[ -]americans?|africans?",
    "white": r"whites?|caucasians?",
    "asian": r"asians?|chinese|japanese|koreans?|vietnamese",
    "indian, pakistani": r"indians?|pakistanis?|bangladeshis?",
    "latino": r"latin[oax]s?|hispanics?|mexicans?",
    "arab": r"arabs?|middle eastern",
    "muslim": r"muslims?|islam(?:ic)?|mosques?",
    "jewish": r"jews?|jewish|judaism",
    "christian": r"christians?|catholics?|church|christianity",
    "gay, lesbian": r"gays?|lesbians?|homosexuals?|bisexuals?|queers?|lgbtq?",
    "transgender": r"trans|transgender(?:ed)?|transsexuals?",
    "immigrant": r"immigrants?|migrants?|refugees?|foreigners?|asylum",
    "disabled": r"disabled|disabilit(?:y|ies)|deaf|blind|autis(?:m|tic)|wheelchairs?|mentally ill",
}
