"""Words that the recipe writes its own conversations with, and those kept apart to measure with: none is in both."""

import random

NAMES = """
Abel Ada Agnes Alan Alice Amos Amy Andrew Anna Arthur Ben Bella Bess Boris Bram Bruno Carl Celia Chloe Clara Colin Cora
Cyril Daisy Daniel Daphne David Della Denis Dora Duncan Edgar Edith Edwin Effie Elena Eli Ella Elmer Elsie Emil Emma Enid
Eric Erin Esme Esther Eva Ezra Faith Felix Fern Finn Flora Floyd Frank Fred Freya Gavin Gemma George Gilda Gina Giles Glenn
Grace Greta Gus Gwen Hal Hannah Harold Harvey Hazel Heidi Helen Henry Hilda Hugo Ian Ida Igor Ines Iris Ivan Ivy Jack Jacob
James Jane Jasper Jean Jenny Jill Joan Joe John Jonas Josie Joy Julia June Kara Karl Kate Keith Kit Kurt Lars Laura Leah Leo
Lewis Lila Lily Liam Lois Lola Louis Lucy Luke Lydia Mabel Mae Marco Maria Mark Martha Mary Matt Maud Max May Mia Milo Mina
Miriam Molly Mona Nadia Nancy Ned Nell Nils Noah Nora Norman Olga Olive Oliver Oscar Otto Owen Patty Paul Pearl Penny Peter
Phil Pia Polly Quinn Ralph Ray Rhoda Rita Robin Roger Rosa Rose Roy Ruby Rufus Ruth Sam Sarah Seth Sid Silas Simon Sofia
Stan Stella Sue Susan Sven Sybil Tara Ted Tessa Theo Thomas Tilda Tim Tina Toby Tom Tony Una Vera Victor Viola Violet Wanda
Walter Wendy Will Willa Wilma Yara Zara Zeke Zoe
""".split()

SURNAMES = """
Archer Baker Barlow Bell Birch Black Brook Carter Clark Cole Cook Crane Cross Dale Dawson Drake Dunn Fisher Fletcher Ford
Frost Gale Glass Gray Green Hale Hart Hill Holt Hughes Hunt Kent King Knight Lake Lane Lowe Marsh Mason Mills Moore Nash
North Page Parker Pike Poole Reed Rivers Rowe Shaw Shore Snow Stone Swift Teal Thorne Tucker Wade Ward Waters Webb West
White Wilde Wolfe Wood Wren York
""".split()

PLACES = """
London Paris Rome Boston Chicago Texas Ohio Kansas Florida Oregon Denver Dublin Oslo Berlin Vienna Madrid Lisbon Cairo
Tokyo Canada Ireland Scotland Wales France Italy Spain Norway Sweden Greece Egypt India Brazil Mexico Chile Peru Bristol
Dover Leeds Oxford York Salem Dallas Houston Atlanta Seattle Alaska Maine Vermont Utah Nevada Georgia Michigan Hamburg
""".split()

PLACE_STARTS = """
Ash Barn Bear Birch Black Bridge Broad Brook Clay Cliff Cold Crow Deep Dun East Elm Fair Fern Fox Gold Gray Green Gull Hart
Hazel Heath High Holly Iron King Lake Long Maple Marsh Mill Moor Moss New North Oak Old Pine Rain Red Rock Rose Salt Sand
Sea Silver Snow South Star Stone Storm Summer Swan Thorn Wax Well West White Wild Willow Wind Winter Wolf
""".split()
PLACE_ENDS = """
beck borough bourne bridge brook bury by cliff combe cross dale den fell field ford gate ham haven hill hope hurst land leigh
ley mere mond mont moor mouth port ridge shaw side stead stock stone ton vale view ville water well wich wick wood worth
""".split()

JOBS = """
actor,artist,astronaut,baker,banker,barber,bartender,bee keeper,blacksmith,boat builder,bookseller,botanist,brewer,builder,
bus driver,butcher,butler,captain,carpenter,cashier,chef,chemist,cleaner,clerk,clown,coach,cook,courier,cowboy,dancer,
dentist,designer,detective,diver,doctor,dog walker,dressmaker,driver,editor,electrician,engineer,explorer,farmer,ferryman,
fiddler,firefighter,fisherman,florist,fortune teller,gardener,ghost hunter,goldsmith,guard,guide,hairdresser,healer,herbalist,
historian,hunter,innkeeper,inventor,janitor,jeweller,journalist,judge,juggler,king,knight,lawyer,librarian,lighthouse keeper,
lumberjack,magician,mail carrier,map maker,mason,mayor,mechanic,merchant,midwife,milkman,miller,miner,model,monk,musician,
nanny,nurse,oracle,painter,pharmacist,photographer,physicist,pianist,pilot,pirate,plumber,poet,police officer,potter,priest,
prince,printer,professor,programmer,queen,ranger,reporter,sailor,scholar,scientist,scout,sculptor,secretary,shepherd,
shoemaker,singer,smith,smuggler,soldier,spy,steward,student,surgeon,tailor,taxi driver,teacher,thief,toy maker,trader,
train driver,translator,trapper,vet,waiter,warrior,watchman,weaver,witch,wizard,writer
""".replace("\n", "").split(",")

LIKES = """
apples,baking,ballads,baseball,basketball,bells,berries,bird watching,board games,books,bread,butterflies,cabbage,cake,camping,
candles,card games,carrots,castles,cats,cheese,cherries,chess,chocolate,cinnamon,climbing,clouds,coffee,cold mornings,comics,
cooking,cycling,dancing,dogs,dragons,drawing,dumplings,early mornings,fairs,fencing,fiddle music,fireworks,fishing,flowers,
football,forests,frogs,garlic,ghost stories,ginger,gold,gossip,grapes,growing roses,hats,herbs,hiking,honey,horror movies,horses,
ice cream,jazz,jokes,juggling,kites,knitting,lemons,letters,long walks,magic,maps,mathematics,meat pies,milk,mountains,movies,
mushrooms,music,myths,nuts,old books,onions,opera,owls,painting,pancakes,parrots,pears,photography,picnics,pizza,poems,poetry,
potatoes,puppets,puzzles,quiet evenings,rabbits,rain,rainy days,reading,riddles,riding,rivers,rowing,running,sailing,salads,
sewing,ships,silence,singing,skating,skiing,sleeping,snow,soccer,soup,spicy food,stars,stew,storms,stories,strawberries,
sunsets,surfing,swimming,swords,tea,telling jokes,tennis,thunder,toast,traveling,trees,video games,violins,warm baths,
watching birds,waterfalls,whales,wine,winter,wolves,wood carving,wool,writing,yoga
""".replace("\n", "").split(",")

ADJECTIVES = """
old new big small red green blue yellow black white brown grey golden silver wooden paper glass iron warm cold hot sweet sour
soft loud quiet fresh dry wet fast slow rare tiny giant round sharp strange funny scary sad happy wild tame foreign local
""".split()

NOUNS = """
bag ball barn basket bed bell bench bird boat bone book boot bottle bowl box bridge brush bucket button cabin cake candle card
cart cat chain chair clock cloak coat coin cup desk dog door drum egg farm feather fence fiddle flag flower flute fork garden
gate glove goat guitar hammer hat hen hill horse house inn island jar kettle key kite knife ladder lamp lantern letter lock
map mask mill mirror mouse mug needle nest net oven owl pan parrot pen piano picture pie pig pipe plate pony pot puppet purse
rabbit radio raft ring river road robe roof room rope rug sack sail scarf school sheep shelf ship shirt shoe shop shovel sled
spoon stable stick stool stove sword table tail tent thread ticket tower toy train tree trunk turtle van vase wagon wall watch
well wheel whistle window wolf yard
""".split()

COLOURS = "red blue green yellow black white brown grey purple orange pink golden silver crimson".split()

PETS = "cat dog horse parrot goat rabbit turtle mouse crow donkey hen pony hamster snake fish owl pig sheep".split()

HELD_OUT_NAMES = """
Ottilie Barnaby Cosima Delphine Ignatius Leopold Marigold Percival Rosalind Tobias Ursula Winifred Alistair Beatrix Clement
Dorothea Everett Florian Gideon Harriet Isolde Jemima Killian Lavinia Montague Odette Quentin Rupert Saskia Thaddeus Vivienne
Wilhelm Xavier Yvette Zachary Ambrose Bridget Cedric Dashiell Eugenia
""".split()
HELD_OUT_PLACES = """
Whitby Penzance Galway Kyoto Lima Tromso Bergen Quito Naples Seville Geneva Prague Krakow Odessa Havana Toledo Tulsa Nairobi
Malta Iceland Portugal Finland Kenya Nepal Cuba Montana Nebraska Arizona Idaho Delaware Cornwall Yorkshire Devon Brittany
Tuscany Bavaria Savannah Memphis Omaha Phoenix
""".split()
HELD_OUT_JOBS = """
glazier,cooper,locksmith,cobbler,violinist,geologist,auctioneer,bricklayer,chimney sweep,clockmaker,candlemaker,tattooist,
zookeeper,paramedic,optician,beautician,stonecutter,basket weaver,bellringer,cartographer,falconer,gravedigger,jockey,
lifeguard,mountaineer,notary,organist,roofer,saddler,tanner,umpire,upholsterer,welder,acrobat,archivist,bodyguard,chauffeur,
dishwasher,economist,philosopher
""".replace("\n", "").split(",")
HELD_OUT_LIKES = """
marbles,plums,crosswords,archery,gardening,origami,volcanoes,lizards,lavender,karaoke,pottery,trombones,cucumbers,seashells,
detective novels,steam engines,peaches,curry,dominoes,pumpkins,fossils,waltzes,marmalade,trampolines,bonsai,sandcastles,
hedgehogs,cartoons,ballet,kayaking,lasagna,astronomy,beetles,peppermint,bagpipes,tulips,scrabble,oysters,windmills,walnuts
""".replace("\n", "").split(",")

_SYLLABLES = "ba be bri ca da del do fa fen ga gor ha hel i ja ka kel la lin lo ma mi mor na no o pa per ra ri ro sa sel ta tha ti u va vel ya za".split()
_CODAS = " n r s l m th k d ra na lia ric wyn dor mir sha".split(" ")


def a_name(rng: random.Random) -> str:
    """A first name that people bear, or one that nobody does, so that only copying can get it right."""
    if rng.random() < 0.5:
        return rng.choice(NAMES)
    made = _made_up(rng).capitalize()
    return made if len(made) > 2 and made not in HELD_OUT_NAMES else rng.choice(NAMES)


def _made_up(rng: random.Random) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((1, 2, 2, 3)))) + rng.choice(_CODAS)


def a_place(rng: random.Random) -> str:
    """A place on the map, or one that is on none."""
    if rng.random() < 0.3:
        return rng.choice(PLACES)
    return rng.choice(PLACE_STARTS) + rng.choice(("", "", "", " ")) + rng.choice(PLACE_ENDS)


def a_job(rng: random.Random) -> str:
    """What somebody does for a living."""
    chance = rng.random()
    if chance < 0.6:
        return rng.choice(JOBS)
    if chance < 0.7:
        return f"{_made_up(rng)}{rng.choice(('er', 'wright', 'smith', 'master', 'ist'))}"
    verb = rng.choice("maker seller keeper mender collector painter cleaner builder trader hunter driver".split())
    return f"{rng.choice(NOUNS)} {verb}"


def a_like(rng: random.Random) -> str:
    """What somebody likes, as the object of "I like"."""
    chance = rng.random()
    if chance < 0.5:
        return rng.choice(LIKES)
    if chance < 0.6:
        return plural(_made_up(rng))
    noun = plural(rng.choice(NOUNS))
    if chance < 0.7:
        return noun
    if chance < 0.8:
        return f"{rng.choice(ADJECTIVES)} {noun}"
    return f"{rng.choice('collecting making painting buying selling mending drawing cleaning counting'.split())} {noun}"


def plural(noun: str) -> str:
    """Good enough for the nouns above."""
    if noun in ("sheep", "fish"):
        return noun
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("fe", "lf")):
        return noun.removesuffix("fe").removesuffix("f") + "ves"
    return {"mouse": "mice"}.get(noun, noun + "s")


def an(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
