"""The words that attribution goes by: verbs of speech, titles, nouns for people, first names, and words that are no names."""


def word_set(words: str) -> frozenset[str]:
    """The words of a text between white space."""
    return frozenset(words.split())


SPEECH_VERBS = word_set(
    """
    said says say asked asks replied replies answered answers cried cries exclaimed exclaims returned returns
    rejoined murmured murmurs muttered mutters whispered whispers shouted shouts called calls screamed shrieked
    yelled bellowed roared growled snarled snapped hissed grunted groaned moaned sighed sobbed wept wailed whined
    whimpered gasped panted breathed stammered stuttered faltered ejaculated interjected interposed interrupted
    intervened inquired enquired demanded queried questioned responded retorted countered observed remarked commented
    noted mentioned stated declared announced proclaimed pronounced asserted affirmed averred avowed insisted
    maintained protested objected remonstrated expostulated argued urged pleaded begged entreated implored besought
    prayed persisted pursued continued resumed proceeded added concluded finished ended began commenced repeated
    echoed reiterated agreed assented acquiesced admitted confessed acknowledged conceded allowed granted owned
    explained suggested proposed hinted ventured hazarded advised counselled warned cautioned admonished reproved
    rebuked scolded chided reproached taunted teased jeered mocked sneered scoffed joked jested quipped laughed
    chuckled giggled tittered smiled grinned beamed simpered drawled lisped croaked rasped squeaked squealed piped
    chirped chirruped crooned cooed purred barked thundered boomed blurted burst bawled hooted howled hollered
    hallooed sang chanted recited read quoted dictated wrote thought mused reflected pondered wondered
    soliloquised soliloquized reasoned decided resolved vowed swore promised assured reassured soothed comforted
    consoled told informed reported related recounted narrated confided revealed disclosed boasted bragged
    complained grumbled grumped lamented mourned bewailed babbled prattled chattered rattled gabbled gossiped
    mumbled spoke speaks spake quoth went goes ordered commanded directed bade greeted hailed welcomed apologised
    apologized thanked congratulated corrected supplemented supplied amended qualified opined conjectured guessed
    speculated surmised summarised summarized prompted challenged threatened stormed raged fumed sputtered spluttered
    gurgled gulped choked quavered trembled shuddered snorted sniffed sniffled coughed yawned puffed wheezed
    volunteered offered invited requested prophesied predicted philosophised philosophized moralised moralized
    translated invoked apostrophised parried evaded temporised emended broke put threw struck chimed cut
    exulted enthused gushed crowed trilled fluted intoned droned nodded shrugged frowned scowled winced pouted
    reminded recollected remembered expounded elaborated specified calculated counted marvelled exhorted encouraged
    coaxed cajoled wheedled pressed testified swallowed bleated brayed quacked mewed twittered
    """
)
"""Forms that stand beside a quotation with its speaker: "said Ada", "Ada laughed"."""

BASE_FORMS = word_set(
    """
    say ask cry call exclaim murmur mutter whisper shout reply answer remark observe add speak asking crying calling
    saying exclaiming murmuring muttering whispering shouting adding replying scream repeat sigh groan
    """
)
"""Forms that speak only beside certain words: "would say", "heard her say", "and saying"."""

WEAK_VERBS = word_set(
    """
    went goes broke put threw struck chimed cut burst told read wrote nodded shrugged frowned scowled winced pouted
    smiled grinned laughed trembled shuddered swallowed counted pressed offered invited related ended ordered directed
    supplied remembered wondered resolved decided returned called began turned
    """
)
"""Those that need not be about speech at all."""

THOUGHT_VERBS = word_set(
    "thought thinks mused reflected pondered wondered reasoned decided resolved soliloquised soliloquized"
)
"""Those of what nobody hears."""
SELVES = word_set("herself himself myself itself themselves")

MALE_TITLES = word_set(
    """
    mr mister sir lord king prince duke count baron earl emperor father brother uncle monsieur m herr signor signore
    senor señor don squire friar master viscount marquis grandfather grandpa sheik abbé abbe esq messrs
    """
)
FEMALE_TITLES = word_set(
    """
    mrs miss ms lady madam madame mademoiselle mme mlle queen princess duchess countess baroness empress mother sister
    aunt aunty auntie dame fräulein fraulein frau signora signorina senora señora nurse mistress marchioness
    grandmother grandma granny missis missus
    """
)
OTHER_TITLES = word_set(
    """
    dr doctor captain capt colonel col major general gen sergeant sergt lieutenant lieut lt corporal private commander
    commodore admiral inspector professor prof parson reverend rev judge justice president mayor saint st constable
    officer detective superintendent commissioner deacon bishop canon dean vicar curate chief governor secretary
    senator cousin comrade farmer old young little poor cardinal pope abbot chancellor baronet sheriff alderman ensign
    cap'n mas'r marse hon honourable
    """
)
DESCRIPTIONS = word_set("old young little poor dear good")
"""Words before a name that may belong to it, as titles do: "Little Dorrit", but also "poor Alice"."""
TITLES = DESCRIPTIONS | MALE_TITLES | FEMALE_TITLES | OTHER_TITLES
ABBREVIATIONS = word_set(
    "Mr Mrs Ms Dr St Messrs Mme Mlle Capt Col Rev Prof Sergt Sgt Lieut Lt Gen Hon Esq Gov Sen Maj M"
)
PLACES = word_set(
    """
    street road lane square avenue terrace gardens place park hotel station bridge lodge hall house court castle manor
    farm grange abbey inn club church hill moor tor bay island river wood office bank museum theatre railway
    chronicle gazette telegraph times society company hospital college school town village york petersburg
    """
)
"""What a name of several words ends with that is no person's; after a title or a first name most may be a surname."""
STREETS = word_set("street road square avenue terrace hotel station railway")
PARTICLES = word_set("de la le du von van der den of d' da di del bin ben ibn the")

MALE_NOUNS = word_set(
    """
    man gentleman boy lad fellow father brother uncle husband son grandfather nephew king prince duke count baron earl
    emperor lord squire master priest monk friar landlord butler footman coachman groom waiter host youth bridegroom
    widower sailor soldier seaman fisherman policeman constable sergeant captain colonel general admiral major
    lieutenant inspector detective clergyman parson vicar curate bishop rector minister baronet knight sir hermit
    wizard chap schoolboy urchin blacksmith miller gardener shepherd farmer carpenter porter huntsman gamekeeper
    coachmaker cowboy papa pa dad daddy grandpa schoolmaster headmaster postman workman woodman
    hangman nobleman englishman frenchman irishman scotchman scotsman dutchman german italian american
    """
)
FEMALE_NOUNS = word_set(
    """
    woman lady girl mother aunt wife sister daughter grandmother niece queen princess duchess countess baroness
    empress maid housemaid parlourmaid maiden damsel widow nurse landlady hostess mistress nun witch spinster bride
    governess housekeeper schoolgirl lass dame charwoman laundress seamstress dressmaker mamma mama ma mummy granny
    matron heroine actress waitress milkmaid stepmother gypsy abbess shepherdess
    """
)
OTHER_NOUNS = word_set(
    """
    doctor surgeon physician lawyer solicitor attorney judge magistrate professor teacher student scholar tutor
    servant stranger visitor guest child baby person companion friend neighbour neighbor other speaker chairman
    president mayor governor secretary officer clerk cashier merchant shopkeeper grocer baker butcher tailor barber
    cook driver cabman cabby coroner banker artist painter poet author writer novelist musician philosopher
    scientist inventor engineer prisoner convict thief robber pirate hunter guide ferryman beggar tramp
    peasant labourer countryman foreigner passenger traveller traveler patient invalid heir chief leader
    creature animal dog cat horse rabbit mouse rat cousin parent guardian lover sweetheart
    youngster little one senior junior elder younger latter former first second third eldest youngest
    leader sentry sentinel guard jailer turnkey warder consul ambassador
    chemist apothecary steward bailiff agent manager editor reporter journalist correspondent critic dramatist actor
    """
)
PERSON_NOUNS = MALE_NOUNS | FEMALE_NOUNS | OTHER_NOUNS

MALE_NAMES = word_set(
    """
    adam alan albert alec alexander alfred algernon ambrose andrew anthony archibald archie arthur augustus barnaby
    bartholomew basil ben benjamin bernard bertie bertram bill billy bob bobby cecil charles charley charlie
    christopher clarence claude clement colin cornelius cuthbert cyril dan daniel david denis dennis dick donald
    dorian duncan ebenezer edgar edmund edward edwin eric ernest eugene eustace felix ferdinand fitzwilliam francis
    frank fred freddy frederick gabriel geoffrey george gerald gilbert giles godfrey gregory guy hal harold harry
    henry herbert hercules hercule horace howard hugh hugo humphrey ian isaac israel jack jacob jake james jasper jeff
    jem jeremiah jeremy jerry jim jimmy joe john johnny jonas jonathan joseph joshua julian julius kenneth laurence
    lawrence leonard leopold lewis lionel louis lucian luke mark marmaduke martin matthew maurice max michael miles
    mortimer moses mycroft nat nathaniel ned neville newland nicholas nick noah noel obadiah oliver oscar oswald
    patrick paul percival percy peter phil philip philippe phineas pip quentin ralph randolph raymond reginald rex
    reuben richard robert robin roderick rodney roger roland ronald rudolf rudolph rufus rupert sam samuel sebastian
    septimus sherlock sid sidney silas simon solomon stanley stephen steven sydney ted terence theodore thomas
    timothy tobias toby tom tommy uriah valentine victor vincent wallace walter wilfred will william willie
    """
)
FEMALE_NAMES = word_set(
    """
    abigail ada adela adelaide adele agatha agnes alice alicia amelia amy angela ann anna annabel anne annie arabella
    barbara beatrice becky bella belinda bertha bess bessie beth betsy betty blanche brenda bridget camilla caroline
    cassandra catharine catherine cecilia cecily celia charlotte chloe christina clara clarissa connie constance
    cordelia cynthia daisy daphne deborah diana dinah dolly dora dorothea dorothy edith edna effie eleanor elinor
    eliza elizabeth ella ellen elsie emily emma emmeline esther ethel eugenia eva eve evelina eveline fanny felicia
    flora florence frances georgiana georgina gertrude gladys grace gwendolen hannah harriet helen helena henrietta
    hester hetty hilda honoria ida irene isabel isabella ivy jane janet jean jemima jennie jenny jessica jessie jo
    joan josephine judith judy julia juliet kate katherine kathleen kitty laura lavinia leonora letitia lillian lily
    lizzie lizzy louisa louise lucy lydia mabel madge maggie mamie margaret maria marian marianne marion martha mary
    matilda maud may meg mercy mildred millicent millie minnie miranda molly muriel nancy nelly nellie nora olive
    olivia ophelia pamela patience patty pauline peggy penelope philippa phoebe phyllis polly priscilla prudence
    rachel rebecca regina rhoda rosa rosalind rosamond rose rosie ruth sally sarah selina sibyl sophia sophie sophy stella
    susan susanna susie sybil sylvia tess thea theresa tilly ursula vera victoria viola violet virginia vivian
    winifred winnie zoe
    """
)
SHORT_NAMES = {
    "lizzy": "elizabeth", "lizzie": "elizabeth", "eliza": "elizabeth", "betsy": "elizabeth", "kitty": "catherine",
    "kate": "catherine", "cathy": "catherine", "tom": "thomas", "tommy": "thomas", "dick": "richard",
    "will": "william", "willie": "william", "bill": "william", "billy": "william", "bob": "robert", "bobby": "robert",
    "harry": "henry", "hal": "henry", "jim": "james", "jimmy": "james", "jack": "john", "johnny": "john",
    "ned": "edward", "ted": "edward", "teddy": "edward", "charley": "charles", "charlie": "charles", "joe": "joseph",
    "sam": "samuel", "ben": "benjamin", "dan": "daniel", "fred": "frederick", "freddy": "frederick",
    "nell": "ellen", "nelly": "ellen", "peggy": "margaret", "maggie": "margaret", "meg": "margaret", "fanny": "frances",
    "polly": "mary", "molly": "mary", "sally": "sarah", "sukey": "susan", "susie": "susan", "harriot": "harriet",
    "tony": "anthony", "nick": "nicholas", "mike": "michael", "matt": "matthew", "davy": "david", "steve": "stephen",
    "becky": "rebecca", "jenny": "jane", "janey": "jane", "annie": "anne", "nancy": "anne", "milly": "emily",
    "archie": "archibald", "algy": "algernon", "bertie": "albert", "phil": "philip", "ally": "alice",
}  # fmt: skip

VOICES = word_set("voice reply answer response rejoinder comment remark retort question exclamation words")
PREPOSITIONS = word_set(
    """
    of to in on at by with from for into upon over under after before about through within without against across
    behind beside near toward towards like among
    """
)

NO_NAMES = word_set(
    """
    i a an the this that these those it its he she they we you his her hers their our your my mine me him them us who
    whom whose which what when where why how and but or nor so yet for if as at by in on of to from with without
    within into upon over under after before between among against during through until till since while because
    although though unless whether than then there here now once never always ever often sometimes perhaps maybe
    indeed certainly surely however moreover besides therefore thus hence still again also too even only just quite
    very rather almost already soon suddenly presently meanwhile meantime afterwards later finally first second third
    last next one two three four five six seven eight nine ten both each every either neither all any some no none
    nothing nobody nowhere something somebody someone anything anybody everybody everyone everything another other
    others such same yes oh ah o well good great little old young poor dear my god heaven heavens lord christ jesus
    providence fate nature ay aye nay pray alas hush hullo hallo hello hurrah bravo thank thanks please come go let
    look see hear listen stop wait do does did done don't didn't is isn't are aren't was wasn't were weren't be been
    being have has had having can can't could couldn't won't would wouldn't shall shan't should shouldn't
    might must mustn't ought am not
    monday tuesday wednesday thursday friday saturday sunday january february july september october november december christmas easter sabbath whitsuntide lent michaelmas
    chapter book part volume section letter preface contents introduction appendix note end finis
    english french german italian spanish american british irish scotch scottish welsh russian greek latin roman dutch
    european indian chinese african christian catholic protestant jewish jew bible testament scripture
    england france germany italy spain america britain ireland scotland wales russia greece rome holland europe
    india china africa asia australia london paris
    majesty highness lordship ladyship excellency sir ma'am madam mr mrs miss
    ii iii iv vi vii viii ix xi xii xiii xiv xv xvi xvii xviii xix xx et de la le non oui mon ma mes que qui
    really excellent nonsense splendid capital rubbish interesting impossible marvellous wonderful exactly precisely
    naturally obviously evidently possibly probably undoubtedly true humph faugh behold dearest darling
    thereat whereat thereupon whereupon hereupon hardly supposing leaving finding quick eh doubtless rubbish
    whatever whoever whenever wherever having seeing hearing turning looking taking being going coming
    half part much many more most less least few several enough another
    """
)
"""Words that begin with a capital for other reasons than that a person has them as a name."""
