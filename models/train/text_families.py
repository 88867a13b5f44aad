"""The families of our templates: both sides of the line, with the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Templates of one kind; `decides` gives the label's value for each of them, all else is unknown."""

    name: str
    decides: Mapping[str, int]
    templates: tuple[str, ...]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


_CLEAR = {"hate": 0, "harassment": 0, "threat": 0, "toxic": 0}

FAMILIES: tuple[Family, ...] = (
    Family(
        name="hate",
        decides={"hate": 1, "toxic": 1},
        templates=_lines("""
        {G} are {vile}
        all {G} are {vile}
        I hate {G}
        I really can't stand {G}, they are {vile}
        {G} don't belong in this country
        {G} should go back to where they came from
        why are {G} always so {bad}?
        no {person} deserves the same rights as us
        {G} are ruining everything
        you are just another {bad} {person}
        typical {person}, {bad} as always
        the world would be better without {G}
        {G} are not even human
        we don't want {G} here
        I would never let a {person} into my house, they are {vile}
        everything bad in this town is because of {G}
        never trust a {person}
        {G} are a disease
        nobody likes {G} and there is a reason for it
        it's disgusting how {G} behave, like animals
        I wish there were no {G} left
        {G} have no place in our society
        honestly {G} disgust me
        being a {person} is a mental illness
        {G} are inferior and that's a fact
    """),
    ),
    Family(
        name="hate_threat",
        decides={"hate": 1, "threat": 1, "toxic": 1},
        templates=_lines("""
        {G} should be {killed}
        all {G} must be {killed}
        we will come for you {G}
        someone should {kill} all the {G}
        I'm going to {kill} the next {person} I see
        {kill} every {person} in this city
        let's round up the {G} and {kill} them
        {G} deserve to be {killed}
        one day we will {kill} all {G}
        if I see a {person} here I will {kill} them
        the only good {person} is a dead one, go {kill} them
        burn down the houses of {G}
        line the {G} up against a wall and shoot
    """),
    ),
    Family(
        name="threat",
        decides={"threat": 1, "hate": 0, "toxic": 1, "self_harm": 0},
        templates=_lines("""
        I will {kill} you
        I'm going to {kill} you and your family
        watch your back, I know where you live
        you'll be dead by tomorrow
        if you come here again I'll {kill} you
        I swear I'm gonna {kill} {name}
        somebody should {kill} {name}
        you better run because I am coming to {kill} you
        say that again and I will break your {bodypart}
        I hope you die, and I will make it happen
        keep talking and you'll get hurt
        I have a gun and I'm coming for you
        we are going to burn your house down
        wait till I find you, I'll smash your {bodypart} in
        {name} is going to pay for this with his life
        I'll stab you in your sleep
        you deserve to be {killed}
        next time I see {name} I will {kill} him
    """),
    ),
    Family(
        name="figurative_violence",
        decides={**_CLEAR, "self_harm": 0},
        templates=_lines("""
        this {thing} is killing me
        I could kill for a {food} right now
        you killed it on stage tonight
        we are going to destroy them in the final on sunday
        I shot him an email about the {thing}
        that joke slayed me
        she murdered that song, what a voice
        I'll beat you at chess tomorrow
        my boss will kill me if the {thing} is late
        let's crush this {thing} together
        he was shot in the film but the hero came back
        the police said a man was stabbed near the station
        how do I kill a process on linux?
        kill the lights before you leave please
        I'm dying of laughter at this {thing}
        I'd kill to have your {thing}
        the enemy team got destroyed, good game everyone
        bomb recipe for {food}, thanks
        {name} was threatened with death and reported it to the police
        nobody should ever be told "I will kill you"
    """),
    ),
    Family(
        name="group_positive",
        decides={**_CLEAR, "self_harm": 0, "spam": 0},
        templates=_lines("""
        I love {G}
        {G} are wonderful people
        I am a {person} and proud of it
        my best friend is a {person}
        {G} deserve the same rights as everyone
        we should welcome {G}
        so happy to see {G} on the team
        {G} make this country better
        as a {person} I feel at home here
        my neighbours are {G} and they are lovely
        being a {person} is beautiful
        some {G} came to dinner, what a great evening
        congratulations to all {G} graduating today
        {G} have contributed so much to science and art
        I wish more people would listen to {G}
        there is nothing wrong with being a {person}
        it's great to be a {person}
        we stand with {G}
    """),
    ),
    Family(
        name="group_neutral",
        decides={**_CLEAR, "self_harm": 0, "spam": 0},
        templates=_lines("""
        I am a {person}
        my sister is a {person}
        how many {G} live in this city?
        the article is about {G} in the army
        {name} is a {person}
        there is a community centre for {G} in our street
        do {G} celebrate this holiday?
        a {person} moved in next door
        the law was changed to protect {G}
        the survey asked {G} about their jobs
        we read a book about the history of {G}
        {G} and their neighbours met on sunday
        the new teacher is a {person}
        are there any {G} in this group?
        as a {person}, what do you think of the new law?
        a study of {G} in 1950
    """),
    ),
    Family(
        name="hate_negated",
        decides={**_CLEAR},
        templates=_lines("""
        I don't hate {G}
        {G} are not {vile}
        I would never say that {G} are {vile}
        nobody should say {G} are {vile}
        it is wrong to think that {G} are {vile}
        not all {G} are {bad}, in fact most are kind
        I have never met a {person} who was {bad}
        no one deserves to be attacked for being a {person}
        {G} should not be {killed}, what is wrong with people
        nobody hates {G} here
        I can't believe some people think {G} are {vile}
        it's false that {G} are ruining everything
        saying that {G} don't belong here is disgusting
        {G} don't deserve to be treated like this
        we will not let anyone hurt {G}
        I am not against {G} at all
    """),
    ),
    Family(
        name="hate_quoted",
        decides={**_CLEAR},
        templates=_lines("""
        people who say "{G} are {vile}" are part of the problem
        someone shouted "I hate {G}" at me today and I cried
        "all {G} are {vile}" is exactly the kind of comment that should be removed
        how can you say that {G} are {vile}? shame
        he told me {G} should be {killed}, I reported him
        stop saying {G} are {bad}, it's hurtful
        my teacher called us {vile} because we are {G}
        you can't just say "{G} don't belong here", that is racist
        the sign read "no {G}", which is illegal
        if you say "{G} disgust me" you'll be banned
        I was told "go back to your country" because I am a {person}
        saying "{G} are a disease" is hate speech, please delete it
        "{G} are inferior" is what he wrote and he was fired for it
        calling {G} {bad} says more about you than about them
        the film shows a man yelling that {G} are {vile}
        did he really say that he hates {G}? terrible
    """),
    ),
    Family(
        name="reclaimed",
        decides={"hate": 0, "harassment": 0, "threat": 0},
        templates=_lines("""
        I'm a proud {reclaimed}
        we are {reclaimed}s and we are here to stay
        my {reclaimed}s, love you all
        as a {reclaimed} myself I loved this show
        me and my fellow {reclaimed}s at the party
        yes I am a {reclaimed}, so what, life is good
        shout out to every {reclaimed} out there, be yourself
        this is my {reclaimed}, we grew up together
        one {reclaimed} to another: you look amazing
        happy birthday {reclaimed}, miss you
        {reclaimed} and proud
    """),
    ),
    Family(
        name="friendly_profanity",
        decides={**_CLEAR, "profanity": 1, "self_harm": 0, "spam": 0},
        templates=_lines("""
        this is fucking {good}
        holy shit that's {good}
        you are fucking {good}, love you
        damn, that {food} was {good} as fuck
        fuck yeah, we won!
        I'm so fucking happy for you
        what the hell, this {thing} is {good}
        no shit, really? that's {good}
        my fucking {thing} broke again
        fuck this {thing}, I'm going home
        shit, I forgot my {thing}
        oh fuck, I left the {food} in the oven
        this {thing} is a piece of crap
        I fucking love {G}
        that was one hell of a {thing}
        badass {thing}, well done
        fuck me, it's cold today
        I don't give a shit about the {thing}
    """),
    ),
    Family(
        name="thing_abuse",
        decides={**_CLEAR, "self_harm": 0},
        templates=_lines("""
        I hate this {thing}
        this {thing} is stupid
        {food} is disgusting, I can't stand it
        what a terrible {thing}
        I despise mondays
        my {thing} is garbage and should be thrown away
        mosquitoes are the worst, kill them all
        this is the dumbest {thing} I've ever used
        ugly {thing}, who designed it?
        all {food}s are vile
        death to slow {thing}s
        the weather is horrible today
        that {thing} was a stupid idea of mine, sorry
        I'm such an idiot, I locked myself out
    """),
    ),
    Family(
        name="insult",
        decides={"harassment": 1, "hate": 0, "threat": 0, "toxic": 1},
        templates=_lines("""
        you are {insult}
        you're such {insult}
        {name} is {insult}
        shut up, you are {insult}
        nobody likes you, {name}
        what {insult} you are
        go away, you are worthless
        you are too {bad} to understand
        everybody laughs at you behind your back
        your face makes me sick
        you will never achieve anything, loser
        {name}, you are a waste of space
        I have never met anyone as {bad} as you
        only {insult} would write this
        you {bad} piece of shit
        how {bad} can you be?
        your whole family is {bad}
    """),
    ),
    Family(
        name="insult_refused",
        decides={**_CLEAR, "self_harm": 0},
        templates=_lines("""
        you are not {insult}
        nobody should call you {insult}
        he called me {insult} and it hurt
        I don't think {name} is {insult}
        please don't call {name} {insult}
        you're {good}, don't listen to them
        "you are {insult}" is not an argument
        my brother said I was {insult}, we laughed about it
        why would anyone say you are {bad}? you're {good}
        thanks {name}, you are {good}
        I disagree with {name} but respect the work
        with respect, your argument is wrong because of the {thing}
        stop bullying {name}, it's not funny
        telling someone they are worthless is cruel
    """),
    ),
    Family(
        name="self_harm",
        decides={"self_harm": 1, "spam": 0, "hate": 0},
        templates=_lines("""
        I want to kill myself
        I don't want to live anymore
        I'm going to end my life tonight
        I can't stop cutting myself
        there is no reason left for me to stay alive
        everyone would be better off if I was dead
        I have the pills in front of me and I will take them all
        I think about suicide every day
        I wrote my goodbye letter
        I keep planning how to die
        I just want to fall asleep and never wake up
        I hurt myself again last night
        life isn't worth living, I'm done
        I tried to hang myself last year and I want to try again
        goodbye everyone, I won't be here tomorrow
        what is the least painful way to die?
        I wish I was dead
        I feel suicidal
    """),
    ),
    Family(
        name="self_harm_urged",
        decides={"self_harm": 1, "harassment": 1, "spam": 0, "toxic": 1},
        templates=_lines("""
        kill yourself
        go kill yourself, {name}
        just hang yourself already
        do us all a favour and end your life
        kys
        you should slit your wrists
        why don't you jump off a bridge
        drink bleach and die
        nobody would miss you if you killed yourself
        please commit suicide, you are {insult}
    """),
    ),
    Family(
        name="self_harm_not",
        decides={"self_harm": 0, "hate": 0, "harassment": 0, "threat": 0, "toxic": 0},
        templates=_lines("""
        this {thing} makes me want to die lol
        I'm dead, that joke is too good
        please don't hurt yourself, we are here for you
        if you are thinking about suicide, call a helpline
        the book deals with suicide and grief
        I used to be depressed but therapy helped and I'm happy now
        I cut my finger while making {food}
        I am so sad that the {thing} was cancelled
        I feel lonely since I moved
        my uncle died last year and I miss him
        suicide prevention week starts on monday
        I'm stressed about my exam and can't sleep
        I cried all night because of the breakup
        work is exhausting, I need a holiday
        my doctor changed my medication for depression
        I wish I was at the beach
        I'm done with this {thing}, goodbye
        we lost our friend to suicide ten years ago
        I have anxiety and today was hard, but I managed
    """),
    ),
)
