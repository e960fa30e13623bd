"""English words of the sample captions, by the part they play in a sentence.

Every list is in rough order of use: the grammar draws its head more often than its tail. Names of people, places and
brands are put together from invented parts, so they mean nobody and nothing.
"""

from __future__ import annotations


def _list(text: str, separator: str | None = None) -> list[str]:
    """The entries of a block of text, split at white space or at `separator`, without duplicates, order kept."""
    return list(dict.fromkeys(w.strip() for w in text.split(separator) if w.strip()))


ROLES = _list("""
woman man girl boy child couple farmer nurse cyclist fisherman baker dancer tourist student carpenter violinist hiker
gardener potter surfer teacher grandmother grandfather toddler shepherd mechanic barista painter waiter pilot diver
climber drummer florist beekeeper skater commuter blacksmith lifeguard librarian chef bride groom goalkeeper sailor
juggler welder tailor astronomer vet archer cellist runner bricklayer ferryman roofer glassblower weaver postman
lumberjack puppeteer busker plumber surveyor rower trumpeter jockey conductor magician referee fencer acrobat cobbler
""")
ANIMALS = _list("""
dog cat horse cow bird elephant sheep goat fox owl bear deer rabbit duck swan giraffe zebra lion tiger monkey heron
kingfisher squirrel hedgehog otter seal whale dolphin penguin puffin pelican flamingo parrot robin sparrow magpie raven
crow eagle falcon kestrel buzzard stork crane goose turkey rooster hen donkey mule camel llama alpaca bison moose elk
reindeer wolf lynx leopard cheetah jaguar badger beaver marmot mouse hamster bat mole lizard gecko chameleon tortoise
turtle crocodile frog toad newt salamander salmon trout pike carp eel octopus squid jellyfish starfish crab lobster
snail butterfly dragonfly beetle ladybird bumblebee grasshopper mantis spider scorpion hummingbird woodpecker nuthatch
wren starling gannet cormorant albatross osprey vulture ibex chamois wombat koala kangaroo lemur sloth tapir armadillo
walrus spaniel terrier greyhound dachshund sheepdog collie poodle kitten puppy lamb calf foal duckling gosling
""")
PLANTS = _list("""
rose tulip sunflower daisy lavender poppy orchid lily oak birch willow maple pine cedar fern moss ivy cactus bamboo
hydrangea peony dahlia iris crocus snowdrop bluebell foxglove hollyhock geranium begonia magnolia camellia azalea
jasmine wisteria clematis honeysuckle thistle heather gorse bracken nettle clover dandelion chestnut beech ash elm
poplar larch spruce juniper cypress olive fig almond hazel walnut mulberry hawthorn rowan elder sycamore eucalyptus
baobab mangrove lotus succulent agave aloe yucca monstera philodendron anthurium amaryllis hyacinth narcissus primrose
pansy petunia
""")
FOODS = _list("""
soup salad bread cake pasta rice curry pie stew cheese apple pear plum cherry lemon orange tomato potato carrot onion
mushroom pumpkin spinach cabbage beetroot leek garlic ginger pancake waffle muffin scone biscuit brownie tart crumble
sorbet custard pudding porridge granola omelette frittata quiche risotto gnocchi lasagne ravioli dumpling noodle ramen
taco burrito falafel hummus kebab skewer meatball burger sandwich wrap flatbread focaccia baguette croissant brioche
pretzel doughnut eclair meringue fudge toffee nougat marzipan truffle marmalade jam chutney pickle relish pesto salsa
gravy broth chowder bisque gazpacho casserole gratin tagine pilaf paella kimchi tofu tempeh lentil chickpea quinoa
couscous polenta asparagus artichoke aubergine courgette fennel celery radish turnip parsnip squash sweetcorn avocado
mango papaya pineapple apricot peach nectarine raspberry blueberry blackberry gooseberry rhubarb quince fig walnut
hazelnut pistachio
""")
LANDFORMS = _list("""
lake river beach mountain valley forest harbour bay cliff meadow field hill island waterfall desert canyon glacier
lagoon marsh estuary dune cove fjord gorge moor orchard vineyard woodland creek pond reef cave plateau ridge summit
pass peninsula headland shore coastline delta heath prairie savanna rainforest wetland spring geyser crater volcano
quarry hedgerow riverbank footpath
""")
BUILDINGS = _list("""
house church castle bridge tower barn cottage lighthouse station market library museum school hotel cafe bakery
bookshop theatre temple mosque cathedral chapel monastery windmill watermill farmhouse greenhouse stable boathouse
warehouse factory brewery pub inn hostel villa palace fortress gatehouse courtyard terrace balcony attic cellar kitchen
bathroom bedroom workshop studio garage pier jetty marina airport stadium pool playground bandstand fountain arcade
crossroads tunnel viaduct aqueduct canal townhall skyscraper bungalow cabin yurt treehouse observatory planetarium
aquarium cinema laundry pharmacy tramstop bathhouse tollhouse icehouse smithy tannery sawmill pavilion rotunda cloister
belfry granary
""")
FURNITURE = _list("""
chair table bench sofa desk wardrobe bookshelf armchair bed stool piano fireplace window mirror door staircase cupboard
fridge oven stove sink dresser hammock wood-burner rocking-chair grandfather-clock counter sideboard bathtub radiator
workbench pool-table easel loom fish-tank cot bunk chest trolley vending-machine
""")
OBJECTS = _list("""
lamp clock book basket bottle cup bowl vase teapot camera guitar lantern bell suitcase umbrella kettle tray candle rug
telescope globe violin radio typewriter notebook pencil box jug mug key compass map kite bucket cushion blanket ladder
birdhouse jar tin flask thermos corkscrew ladle whisk sieve grater spatula skillet saucepan casserole toaster blender
doormat coat-rack bookend paperweight doorstop hourglass sundial barometer thermometer puppet doll chessboard jigsaw
balloon rocket backpack rucksack torch stopwatch whistle medal trophy postcard stamp envelope parcel coin necklace
bracelet brooch ring pendant trumpet drum accordion harp flute scissors thimble button ribbon hammer saw chisel toolbox
anvil wheelbarrow rake spade watering-can flowerpot beehive scarecrow signpost mailbox anchor buoy oar paddle
lobster-pot barrel crate microscope magnet pendulum music-box snow-globe yo-yo padlock weathervane cuckoo-clock
tape-measure photo-frame candlestick egg-cup butter-dish pepper-mill napkin-ring cake-stand wine-rack spice-rack
""")
VEHICLES = _list("""
train bus boat tram ferry tractor truck motorcycle scooter van canoe kayak sailboat barge yacht lorry caravan
locomotive airplane helicopter glider hot-air-balloon bulldozer excavator fire-engine ambulance taxi rickshaw tandem
sledge snowplough trolleybus hovercraft submarine tugboat trawler dinghy schooner steamroller minibus campervan
""")
CLOTHES = _list("""
dress shirt jacket coat hat scarf sweater skirt boots shoes jeans blouse cardigan hoodie vest gloves socks cap beanie
raincoat parka blazer suit tuxedo kimono sari poncho shawl apron overalls dungarees leggings shorts swimsuit bikini
pyjamas robe slippers sandals sneakers loafers clogs wellingtons waistcoat tie bow-tie belt braces turban beret fedora
bonnet headband veil gown tunic kaftan jumpsuit anorak tracksuit cape mittens stockings trousers chinos culottes
""")
FABRICS = _list("""
cotton linen wool silk velvet leather denim corduroy tweed cashmere mohair suede satin lace canvas jersey flannel
fleece felt hemp jute merino chiffon organza taffeta poplin chenille crochet gingham tartan
""")
MATERIALS = _list("""
wooden glass ceramic brass oak steel leather copper bamboo marble pine walnut wicker rattan porcelain enamel tin iron
pewter bronze slate terracotta concrete cork paper cardboard resin acrylic beech granite maple zinc birch ash stoneware
""")
COLOURS = _list("""
white black red blue green yellow brown grey orange pink purple navy cream beige gold silver teal turquoise crimson
scarlet maroon burgundy coral peach apricot amber ochre mustard olive khaki emerald mint sage indigo violet lilac
lavender mauve magenta fuchsia plum charcoal ivory tan copper rust sand slate cobalt azure cyan aqua lime chartreuse
russet sepia chestnut mahogany taupe ebony pearl rose salmon cherry wine mulberry pistachio celadon saffron
""")
LOOKS = {
    "role": _list("""
old young tired happy elderly smiling little tall cheerful curious proud hungry patient grinning sleepy bearded
barefoot freckled shy lonely busy nervous retired serious famous careful clumsy stubborn soaked sunburnt thoughtful
lanky red-haired grey-haired absent-minded
"""),
    "animal": _list("""
small young wild sleepy curious large fluffy hungry spotted striped baby playful lazy wet stray rescued grumpy
long-haired shy tiny tame startled rare well-fed sunbathing ginger scruffy three-legged plump dozing watchful muddy
escaped one-eyed short-tailed migrating
"""),
    "plant": _list("""
young tall wild dried flowering potted ancient climbing fragrant fading gnarled leafy dwarf early late double scented
wilting windswept frosted hardy variegated overgrown cut lone weeping
"""),
    "food": _list("""
fresh homemade crispy creamy spicy grilled sweet roasted ripe warm smoky vegan sour salted gluten-free pickled toasted
steaming sticky juicy burnt half-eaten buttery crunchy frozen dried glazed stuffed caramelised tangy leftover no-bake
slow-cooked organic
"""),
    "scenery": _list("""
quiet misty snowy green rocky remote sunlit frozen golden wild foggy deserted windy steep hidden moonlit rugged flooded
autumnal still sandy stormy muddy terraced pristine wooded sleepy tidal volcanic nameless untouched
"""),
    "building": _list("""
old abandoned small empty ancient red-brick crowded half-timbered modern derelict restored medieval crooked whitewashed
ruined narrow ivy-covered baroque stone derelict brightly-lit deserted converted grand humble thatched flooded art-deco
concrete listed haunted family-run two-storey tiled fortified mossy octagonal unfinished
"""),
    "object": _list("""
old vintage broken small antique handmade large empty rusty battered folding painted dusty tiny wall-mounted restored
carved portable modern round polished upturned cracked second-hand ornate forgotten hand-painted square borrowed
miniature tilting half-finished minimalist gilded oversized stackable rustic engraved retro mended lost
"""),
    "vehicle": _list("""
old rusty abandoned vintage parked muddy crowded electric empty brand-new broken-down snow-covered speeding overloaded
restored battered two-tone hand-painted late toy steam-powered converted overturned narrow-gauge
"""),
    "cloth": _list("""
vintage long oversized striped knitted floral checked cropped pleated short-sleeved embroidered plain quilted patched
reversible fitted wide-brimmed hooded faded slim-fit belted ruffled padded waterproof lightweight polka-dot second-hand
hand-knitted fringed wrinkled ribbed relaxed tie-dyed
"""),
}
DOING = {
    "role": _list("""
standing sitting walking riding eating playing waiting sleeping running reading smiling swimming cooking dancing
singing painting sweeping digging resting leaning stretching yawning laughing talking whispering waving juggling
kneeling crouching skipping hopping sledging skating rowing fishing sketching writing knitting ironing counting
measuring hammering wading stumbling limping marching humming arguing picnicking posing shivering busking napping
haggling
"""),
    "animal": _list("""
sleeping grazing resting running drinking sitting playing swimming hiding standing looking eating yawning jumping
stretching climbing hopping nesting hovering diving splashing drifting sniffing licking nibbling perching staring
basking foraging howling scratching trotting paddling sneezing grooming chewing snoozing prowling digging dozing
"""),
}
TRANSITIVE = _list("""
holding carrying painting repairing pushing watching photographing feeding washing chasing admiring selling buying
unwrapping dropping lifting polishing drawing hugging kicking throwing catching balancing collecting hiding measuring
dragging stacking inspecting cleaning decorating building guarding following untangling steering tuning
""")
PREPOSITIONS = _list(
    "near|beside|behind|in front of|next to|above|below|under|across from|against|around|opposite|past", "|"
)
TIMES = _list(
    """
at sunset|at dusk|at dawn|in winter|in autumn|in spring|in summer|at night|on a rainy day|after the storm|in the morning
|in early light|before breakfast|on market day|during the harvest|in heavy snow|in the fog|at low tide|at high tide|
at noon|on a Sunday|under a full moon|in the afternoon sun|late in the season|on the first warm day|between showers|
in the blue hour|around midnight|just after closing time|during a power cut|on the last day of term|in a light drizzle|
at the end of the shift|while the kettle boils|before the crowds arrive|under a stormy sky|in soft window light
""",
    "|",
)
VIEWS = _list(
    """
close-up|aerial view|black and white photo|portrait|macro shot|panorama|silhouette|side view|view from above|snapshot|
watercolour|ink drawing|oil sketch|linocut|engraving|old postcard|long exposure|double exposure|pencil study|woodcut|
cyanotype|polaroid|drone shot|blurry photo|low-angle view|wide shot|collage|mosaic|mural|poster|illustration|etching|
charcoal drawing|pastel|screenshot|scan|diagram|cutaway drawing|x-ray|time-lapse still|cartoon|fresco|tapestry detail
""",
    "|",
)
TOPICS = _list("""
housing tourism rail education transport farming broadband recycling energy weather pension parking housing-benefit
water flood wildlife heritage budget election football cricket rugby rowing tennis cycling chess museum library
hospital ambulance vaccine allergy sleep diet coding robotics astronomy geology archaeology poetry photography
gardening baking knitting pottery camping sailing birdwatching genealogy insulation plumbing carpentry typography
calligraphy bookbinding woodwork origami beekeeping composting foraging fermentation mortgage insurance savings tax
payroll accounting marketing logistics freight steel textile fashion cinema theatre jazz opera folk choir ballet circus
comedy podcast satellite battery solar wind tidal nuclear hydrogen drought wildfire earthquake volcano heatwave
blizzard pollen migration census
""")
ABSTRACTS = _list("""
plan future history problem guide debate crisis record change story secret lesson mistake idea question answer rule
deal delay protest festival parade contest award prize scandal inquiry report survey study trial strike vote reform ban
levy grant fund project scheme campaign review rescue return farewell reunion anniversary opening closure merger launch
upgrade repair refund shortage surplus boom slump recovery revival decline mystery puzzle dilemma promise warning
rumour apology tradition experiment discovery breakthrough setback compromise bargain gamble
""")
NEWS_VERBS = _list("""
wins loses backs rejects delays unveils opens closes defends faces plans cuts doubles halves approves scraps revives
launches sells buys joins leaves leads tops beats misses seeks finds hides admits denies ends starts questions welcomes
postpones expands rescues bans funds praises blames trims hosts restores renames sues settles cancels tests drops
""")
GROUPS = _list(
    """
villagers|scientists|students|police|farmers|fire crews|commuters|parents|doctors|residents|volunteers|divers|
archaeologists|engineers|shopkeepers|pensioners|teachers|campaigners|judges|bus drivers|park rangers|landlords|tenants|
beekeepers|bakers|night nurses|fishing crews|choristers|ferry pilots|stargazers|dog walkers|ramblers|bell ringers
""",
    "|",
)
BODIES = _list(
    """
council|mayor|minister|union|coach|captain|goalkeeper|startup|charity|broadcaster|bank|regulator|airline|brewery|orchestra|
film crew|novelist|harbour master|fishing fleet|choir|school board|bakery|museum|court|bishop|ferry company|rowing club|
university|zoo|water board|brass band|theatre|chess club|hospital|police chief|poet|landlady
""",
    "|",
)
MANNER = _list("""
quietly slowly suddenly finally carefully proudly nearly barely gladly again together alone twice overnight online
abroad upstairs outdoors underwater sideways backwards barefoot blindfolded secretly reluctantly happily
""")
FIRST = _list("""
Ida Tomas Mirela Jonah Petra Anselm Greta Olin Sabine Rufus Nadia Ewan Livia Matteo Hanne Bastian Odile Kasper Yara
Ines Dorian Malin Tobias Elke Rowan Selma Viktor Agnes Leif Marisol Quentin Thea Ansel Birgit Cosmo Delia Emeka Farah
Gideon Hilde Ivo Jutta Kiran Lorna Milos Nuria Oskar Pilar Rasmus Signe Tilda Ulf Vera Wim Xenia Yusuf Zelda Amara
Bruno Celeste Dag Esme Florin Gerda Hugo Ilse Jarek Katya Lucian Mabel Nils Otto Paloma Rhea Soren Tamsin Uma Wanda
""")
SURNAME_HEADS = _list("""
Var Lind Osk Hal Brand Tel Mar Quil Ost Fen Ras Dov Kel Ingel Sar Thorn Vim Wex Yar Zel Bel Cor Dres Em Farr Gul Hed
Jas Kov Lam Mer Nor Ol Pel Rud Sten Tal Ul Vess Wend Ab Bram Cas Dun Eg Fal Grim Hov Isk Jor
""")
SURNAME_TAILS = _list("""
holt ander mark berry well quist ova enko ini aux ez sted gaard mont wick ley rup hoven ula ström mayer elli ović ak
aro ette son ik ard by dahl feld garth heim
""")
PLACE_HEADS = _list("""
Elder Quor Tarn Ossel Vell Wyn Brack Corm Dunn Eskel Farl Gorse Hask Inver Kell Loth Mell Netter Orl Pend Rook Sorrel
Thist Uld Wether Yarn Ambrel Bryn Quald Drum Evvel Frosk Glaim Hollow Ivel Juni Kirr Lark Mord Nim Oster Pell Rill
Sandel
""")
PLACE_TAILS = _list("""
mere ford stead wick combe haven bury ness thorpe dale burn gate holm worth minster moor fell port cross beck vale
hurst ton water head shaw well sund vik berg
""")
BRAND_HEADS = _list("""
Kes Vel Tor Bry Nim Quo Zan Lum Fro Dri Pol Mav Ost Hex Jun Ral Sel Tiv Wob Yol Cal Dax Ern Fib Gan Hol Ibr Kib Lor
""")
BRAND_TAILS = _list("""
trin ora vane sko mity bley dura lio nest quill pesh foro wex zall ebo rando tico umra vek yard loom pax dell ivo
""")
EMOJI = _list("😀 😍 🔥 ❤️ 🌊 🌸 ☕ 🐶 🐱 🎉 ✨ 🌈 🍂 ❄️ 🚲 📷 🎶 🍰 🌻 🙌 😂 🥾 ⛵ 🌙 🧵 🪴 🏔️ 🍋 🦊 🧶")
