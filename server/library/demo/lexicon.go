package demo

import "strings"

// A topic is what a book is about: the words that its sentences are filled
// with, the most frequent first.
type topic struct {
	name       string
	abstracts  string // used without an article: "time shapes the river"
	things     string // counted: "a clock", "the clocks"
	adjectives string
	titles     string // patterns of titles, separated by "|"
	sentences  string // patterns that only this topic uses, separated by "|"
}

// topics are ordered, because a book's topic follows from its number.
var topics = []topic{
	{
		name:       "being",
		abstracts:  "being dasein time existence care death anxiety nothingness truth world presence possibility finitude meaning",
		things:     "question horizon ground shadow doorway path clearing threshold hammer neighbour clock answer thing dwelling voice thinker",
		adjectives: "authentic ordinary silent finite hidden everyday nameless",
		titles:     "The Question of {A}|{A} and {B}|Lectures on {A}|The {adj} Ground of {A}",
		sentences: "Dasein is the being for whom {A} remains a question.|" +
			"Dasein does not stand before the {n}; it already lives with it.|" +
			"The analysis of dasein begins with the {adj} {n} and not with {A}.|" +
			"Because dasein is in the world, {A} {v} every {n} it meets.|" +
			"Being and time belong together as the {n} belongs to the {n}.",
	},
	{
		name:       "mind",
		abstracts:  "consciousness memory attention thought perception sleep imagination recognition feeling habit will awareness",
		things:     "brain patient face dream image signal nerve experiment observer mirror name test child habit scar cue",
		adjectives: "conscious attentive involuntary inner distracted vivid forgetful",
		titles:     "A Natural History of {A}|{A} Without {B}|Notes on {A}|The {adj} Observer",
		sentences: "Consciousness is what remains when the {n} is taken away.|" +
			"The test of memory asked each {n} for {num} {ns} and one {n}.|" +
			"Nobody has seen consciousness, yet everyone can {vb} the {n} it leaves.|" +
			"Memory keeps the {n} and loses the {adj} {n} beside it.",
	},
	{
		name:       "time",
		abstracts:  "time duration memory waiting change rhythm eternity delay return patience repetition hope",
		things:     "clock calendar hour season bell pendulum watchmaker century archive harvest candle wheel morning interval diary",
		adjectives: "slow borrowed measured seasonal irreversible late brief",
		titles:     "The {adj} Hour|{A} and the {n}|A History of {A}|The Watchmakers of {place}",
		sentences: "Time is not in the {n}; the {n} is in time.|" +
			"The clock of {place} ran {num} minutes late for {num} years.|" +
			"Whoever waits learns that time {v} the {adj} and the {adj} alike.",
	},
	{
		name:       "language",
		abstracts:  "language meaning grammar silence translation reference metaphor naming speech reading understanding X",
		things:     "word sentence letter question alphabet verb dictionary reader accent page name sign example margin dialect",
		adjectives: "literal spoken foreign ambiguous untranslated borrowed plain",
		titles:     "What Is {A}?|On {A} and {B}|The {adj} Dictionary|{A} for Readers of {place}",
		sentences: "What is X? The question has a form before it has an answer.|" +
			"Write X for the {n}, and ask again what X is.|" +
			"A word like {coin} means {A} in {place} and {B} elsewhere.|" +
			"The test of a translation is whether the {n} {v} the same {n}.",
	},
	{
		name:       "light",
		abstracts:  "light refraction colour reflection measurement evidence vision heat proof error darkness",
		things:     "prism lens mirror experiment ray shadow telescope instrument surface angle glass test candle spectrum crystal",
		adjectives: "white refracted bright exact transparent oblique polished",
		titles:     "An Essay on {A}|{A} and {B} Examined|The {adj} Glass|Experiments at {place}",
		sentences: "The experiment was a test of {A} by means of {num} {ns}.|" +
			"Light falls upon the {adj} {n} and {v} the {n} behind it.|" +
			"By the test of the prism {name} {vd} the {adj} {n}.",
	},
	{
		name:       "sea",
		abstracts:  "salt weather navigation distance fear trade silence courage depth solitude exile",
		things:     "ship harbour island lighthouse sailor map wave storm rope captain whale tide anchor chart shore",
		adjectives: "salt drowned northern distant restless grey windward",
		titles:     "The {n} of {place}|A Book of {A} and {B}|The {adj} Shore|Letters from {place}",
		sentences: "The {n} left {place} with {num} sailors and returned with {num}.|" +
			"At sea the {adj} {n} {v} more than the {n} in the harbour.",
	},
	{
		name:       "gardens",
		abstracts:  "growth soil patience water decay shade memory nature blossom winter care",
		things:     "garden seed orchard root gardener wall leaf well bee spade hedge pear season nettle path",
		adjectives: "green patient walled early fragrant barren rooted",
		titles:     "The {adj} Orchard|{A} in the Garden|A Gardener of {place}|The Book of {A} and {B}",
		sentences: "The gardener of {place} {vd} the {adj} {n} for {num} winters.|" +
			"Plant the {n} early, and {A} will {vb} the rest.",
	},
	{
		name:       "music",
		abstracts:  "harmony silence rhythm listening melody dissonance memory practice time breath tone",
		things:     "string song interval choir violin ear bell scale audience rehearsal chord note hall organ drum",
		adjectives: "tuned dissonant hushed low resonant unfinished minor",
		titles:     "The {adj} Choir|{A} and {B}: Twelve Studies|Listening to {A}|The Organ of {place}",
		sentences:  "Between two notes {A} {v} the {n}, and the ear calls it time.|The choir of {place} sang {num} songs and {vd} one {adj} {n}.",
	},
	{
		name:       "medicine",
		abstracts:  "health fever pain diagnosis recovery evidence sleep care breath contagion consciousness",
		things:     "doctor patient test symptom ward remedy nurse wound dose hospital needle trial record pulse bandage",
		adjectives: "chronic clinical feverish careful acute bedside latent",
		titles:     "A Ward in {place}|{A}, {B} and the Patient|The {adj} Physician|On {A} in Practice",
		sentences: "The test was negative, but the {adj} {n} {v} another reading.|" +
			"After {num} days the patient regained consciousness and asked for the {n}.|" +
			"No test can {vb} {A} unless the {n} is {adj}.",
	},
	{
		name:       "law",
		abstracts:  "justice law evidence guilt custom property mercy testimony memory authority doubt",
		things:     "judge witness court oath boundary contract verdict letter debt clerk statute prisoner seal trial village",
		adjectives: "sworn lawful disputed ancient unwritten impartial guilty",
		titles:     "The {n} of {place}|{A} and {B} before the Court|Commentaries on {A}|The {adj} Witness",
		sentences:  "The witness {vd} the {n} under oath, and the court {vd} it again.|A custom of {place} held that {A} {v} no {adj} {n}.",
	},
	{
		name:       "cities",
		abstracts:  "traffic memory commerce loneliness noise rent migration light boredom neighbourhood ruin",
		things:     "street bridge market window tower tram stranger square cellar map staircase roof baker wall lamp",
		adjectives: "crowded paved eastern lamplit abandoned narrow municipal",
		titles:     "The {ns} of {place}|{A} in the {adj} City|Walking to {place}|A Survey of {A} and {B}",
		sentences:  "From the bridge of {place} one can {vb} {num} {ns} and one {adj} {n}.|The {n} of {place} {v} whatever the {n} has forgotten.",
	},
	{
		name:       "machines",
		abstracts:  "power automation friction design failure precision memory computation labour steam control",
		things:     "engine wheel lever test workshop program gear valve engineer switch boiler manual circuit tool bolt",
		adjectives: "mechanical idle precise rusted automatic faulty reversible",
		titles:     "The {adj} Engine|{A} and Its {ns}|A Manual of {A} and {B}|The Workshop at {place}",
		sentences: "Run the test twice: once for the {n}, once for {A}.|" +
			"An engine that passes the test may still {vb} the {adj} {n}.",
	},
	{
		name:       "number",
		abstracts:  "number infinity proof order X symmetry chance continuity reason logic zero",
		things:     "theorem circle axiom line set curve problem square sequence point test table unit margin triangle",
		adjectives: "prime finite elegant parallel countable rational unsolved",
		titles:     "Elements of {A}|What Is {A}?|{A}, {B} and the {adj} {n}|The {n} of {name}",
		sentences: "Let X be any {n}; then X is {adj}, or {A} is empty.|" +
			"What is X? It is the {n} for which {A} and {A} agree.|" +
			"Every test for {A} {v} at least {num} {ns}.",
	},
	{
		name:       "dreams",
		abstracts:  "sleep dream desire memory forgetting fear wonder consciousness childhood laughter night",
		things:     "dream house corridor stranger mask bed river animal key stair door lantern letter voice moth",
		adjectives: "dreaming lost uncanny moonlit half-remembered weightless locked",
		titles:     "The {adj} House|Dreams of {A} and {B}|A Key to {A}|The Sleepers of {place}",
		sentences:  "In the dream the {n} {v} the {adj} {n}, and waking {v} nothing.|{name} dreamed of {place} for {num} nights.",
	},
}

const commonAdjectives = "small old strange clear long deep simple quiet common difficult perfect familiar broken careful empty" +
	" early single bitter gentle modest honest heavy curious patient stubborn golden rare obscure fragile solemn"

// commonVerbs are regular and transitive, so that every form can be built.
const commonVerbs = "change follow measure reveal question describe carry remember shape explain call open cover touch" +
	" answer gather divide observe name repeat move guard disturb mirror preserve delay deny trouble complete" +
	" invent repair borrow imitate silence illuminate exhaust outlast anticipate dissolve"

const commonAbstracts = "time memory being thought consciousness knowledge nature language experience silence"

const commonThings = "question thing book place letter house life reason day story word example stone"

// commonSentences are shared by every topic.
var commonSentences = strings.Split(
	"{A} {v} the {adj} {n}, and the {n} {v} {A} in return.|"+
		"What {name} calls {coin} is nothing other than {an} {adj} form of {A}.|"+
		"In {place} the {ns} were {adj}, and nobody asked about {A}.|"+
		"There is no {n} without {A}, and no {A} without {an} {adj} {n}.|"+
		"We {vb} the {ns} before we {vb} {A}.|"+
		"What is {A}? {name} answered in {year} that it {v} every {n}.|"+
		"A simple sign of {A} is whether the {n} {v} anything at all.|"+
		"{name} kept {num} {ns} in {place}, each of them {adj}.|"+
		"If {A} {v} {B}, then the {n} must be {adj}.|"+
		"It was in {year} that {name} first {vd} the {n} of {place}.|"+
		"The {adj} {n} {v} what the {adj} {n} forgets.|"+
		"Neither {A} nor {B} can {vb} {an} {n} that is truly {adj}.|"+
		"To {vb} {A} is to {vb} time itself.|"+
		"Some {ns} {vb} {A} slowly; others, the {adj} ones, {vb} it at once.|"+
		"The {n} was {adj}, and so was the {n} that {vd} it.|"+
		"Of {A} we know only that it {v} {B}, and that the {ns} of {place} {vb} both.|"+
		"{name} and {name} {vd} the same {n} and drew opposite conclusions.|"+
		"As long as the {n} {v} {A}, nobody needs {an} {adj} {n}.|"+
		"The {ns} of {place} are {adj}, but the {n} of {name} is {adj} and {adj}.|"+
		"Perhaps {A} is only {an} {n} seen from the side of {B}.|"+
		"This is the {adj} {n} of which {name} wrote in {year}.|"+
		"Whoever {v} the {n} must also {vb} the {ns} around it.|"+
		"Long before {year} the word {coin} {vd} both {A} and {B}.|"+
		"It is easier to {vb} {an} {n} than to {vb} {A}.|"+
		"The argument of {name} rests on {num} {ns}, of which {num} are {adj}.|"+
		"Under {A} lies {B}, and under {B} {an} {adj} {n}.|"+
		"Nothing in the {n} {v} the {ns}; everything in {A} does.|"+
		"The school of {place} {vd} {A} for {num} years and called it {coin}.|"+
		"Let us {vb} the {n} once more, without {A} and without {B}.|"+
		"A reader of {name} will {vb} the {n} of {coin} in every {adj} {n}.|"+
		"Today the {n} stands in {place}, {adj} and {adj}.|"+
		"Here {A} ends, and {an} {adj} {n} begins.|"+
		"No {n} is so {adj} that {A} cannot {vb} it.|"+
		"They {vd} the {n}, they {vd} the {ns}, and they forgot {A}.|"+
		"The question of {A} is older than the {n} of {place}.|"+
		"Through {A} the {n} became {adj}; through {B} it became {an} {n} again.", "|")
