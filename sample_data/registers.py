"""The shapes of the sample's unique captions, by register; grammar.py explains the notation.

Shapes are separated by bars outside brackets or by line ends.
"""

from __future__ import annotations

PHOTO = """
{a_person} {doing_role} {prep} a~ {look_place}[ {time}|.|]
{a_person} [is|] {trans} a~ {material} {object}[ {time}| {prep} the {building}]
A~ {colour} {object} {prep} the {furniture}|{view} of a~ {look_being}[ {prep} the {furniture}| {time}|]
Two {role}~s {doing_role} {prep} a~ {scenery}[ {time}|]
There is a~ {colour} {vehicle} {prep} the {building}[ and a~ {animal} on the roof|]
[Three|Four|Five|Several] {look_animal} {animal}~s {prep} the {place}
{a_person} in a~ {colour} {cloth} {trans} a~ {object}[.|]|{Look_animal} {animal} {doing_animal} {prep} {num} {object}~s
the {role} and the {animal} {doing_animal} {time}
{Look_vehicle} {vehicle} [parked|stopped|stuck|waiting] {prep} a~ {look_building} {building} {time}
A~ {look_food} {food} on a~ {material} plate {prep} a~ {object}|{animal}~s and {animal}~s {doing_animal} {time}
{time}: {a_person} {prep} the {scenery}|The {room} has a~ {colour} {furniture} and {num} {object}~s.
Some {food}~s, a~ {object} and [half a|one more] {food} [lie|sit|are left] on the {material} {furniture}
A~ {animal} [looks|stares|glances] at a~ {being} {prep} a~ {furniture}
a~ {look_building}, {look_building} {building} {prep} the {scenery} {time}
{a_person}, {a_person} and a~ {animal} {doing_role} {manner}
{look_vehicle} {vehicle} [full of|loaded with|covered in] {plant}~s {time}
[My|Our|Somebody's] {animal} {doing_animal} {prep} the {furniture} {manner}
A~ {material} {object} {prep} {num} {colour} {object}~s {prep} the {furniture}
{animal} [crossing|entering|leaving] the {scenery} [while|as] a~ {role} is {doing_role}
bunch of {plant}~s in a~ {material} {object}
{look_cloth} {cloth} [drying|hanging|forgotten] {prep} a~ {furniture}, {town}
{colour} {plant}~s [climbing|nodding|blooming|wilting] {prep} the {building} wall
Nobody [sits|waits|stands] {prep} the {look_place} {time}|Reflection of a~ {building} and {plant}~s in the {scenery}
{room} with {colour} {furniture} and {material} {object}
a~ {cloth}, a~ {object} and {num} {food}~s laid out on the {furniture}
{a_person} [shows|hands|sells|passes] {a_person} a~ {look_object} {object}
{num} {role}~s share a~ {food} {prep} the {vehicle}
A~ {vehicle} passes the {look_building} {building} [as|while] {a_person} is {doing_role}
looking [up|down|back] at the {building} from a~ {look_scenery} {scenery}
{role}'s {object}, {object} and {cloth} {prep} the {room} {furniture}
"""
"""Photo descriptions."""

ALT = """
{town} {building}[, {year}| {time}|]|The {scenery} [near|above|below] {town}, {region}, {time}
{person} [at|outside|inside] the {town} {building}
{person} [and|with] {person} at the {town} {topic} {event}[, {month} {year}|]
{plant} [and {plant}|] in [full bloom|bud|seed], {town}|{view} of {town} {building} from the {scenery}
{region} {animal} [in its|outside its|leaving the] {scenery}[ - photo by {person}|]
Figure {num}. {Look_object} {object} from {town}, {century} century
Map of {town} [and|with] the {look_scenery} {scenery}[, {year}|]|{person}, {year} ({medium} on {ground}, {n1} x {n1} cm)
{look_object} {object} [found|dug up|discovered] in {town} {scenery}|{role} {person} [with|holding] a~ {food}, {town}
Interior of {building} "{brand}", {town}|{town} from the air, {month} {year}
{person} [signs|reads from|presents] "{title}" [in|at] {town}
Hiking the {town} {scenery}: day {num}, {look_scenery} {scenery} [ahead|behind us|]|Front cover of "{title}"
"{title}" by {person}|{person}: {title} ({year})|{person} - {title} [live in {town}|]
{title} - {person} [Gallery|Prints|Studio|]|{view}: {look_object} {object} [of|from] {town}
{town} {topic} [team|club|society], {season} {year}|{person}, {job}[ and {role}|], {town}
Left to right: {person}, {person} [and|,] {person}|Detail of the {material} {object}, {town} {building}
Sign [reading|that says] "{look_food} {food}~s" [in|near] {town}
{region} {food} [with|and] {food}, {building} {last}, {town}|Vintage {town} {vehicle} poster, {colour} [on|and] {colour}
Plan of the {building}, {town}, [ground floor|first floor|cellar level] {year}
The {last} family [in|outside] {town}, about {year}
"""
"""Alt text: places, people, finds, books, maps."""

NEWS = """
{town} {body} {newsverb} {topic} {abstract}[ after {num} years| over {topic} {abstract}|]
{Body} {newsverb} {look_object} {abstract} in {town}|{person} {newsverb} {town} {topic} {abstract}
Why {group} [fear|want|oppose|support] the {look_object} {topic} {abstract}
{Topic} {abstract}: what {town} [knows|needs|expects] now
{num} [hurt|rescued|questioned|honoured] [as|after] {vehicle} [hits|blocks|leaves] {town} {building}
{Group} in {town} [say|insist|doubt] {topic} {abstract} is {look_object}
How a~ {look_animal} {animal} [stopped|started|saved|divided] {town}'s {topic} {abstract}
{town} {building} to [reopen|close|move] {time}, {group} [say|hear|told]
{person}: '{Topic} {abstract} [was|is|feels like] a~ {abstract}'
Watch: {animal} {doing_animal} {prep} {town} {building} {time}|{Abstract} as {group} [and|meet] {group} in {town}
{Topic} {abstract} '{look_object} but {look_object}', [says|warns|writes] {person}
Inside {town}'s {look_object} {topic} {abstract}|From {building} to {building}: the {abstract} of {person}
Opinion: {Topic} needs a~ {look_object} {abstract}|{money} {topic} {abstract} [for|splits|shocks] {town}
{last} [and|v] {last}: {topic} {abstract} [in pictures|explained|live]|Live: {topic} {abstract} divides {town} {group}
{town} [v|vs] {town}: {sport} [preview|report|player ratings]
Obituary: {person}, {role} [who|and] {topic} {job}, [dies|was] {n1}
{Animal} {doing_animal} {manner} [delays|greets|confuses] {group} {prep} {town} {scenery}
Letters: {topic}, {food}~s and the {abstract} of {town}
{month} {topic} figures: {abstract} [slows|deepens|ends] in {region}
"""
"""Headlines."""

BLOG = """
{num} [ways|reasons|ideas] to [use|store|love|grow] {plant}~s {time}
How to [paint|repair|clean|build|restore] a~ {look_object} {material} {object}
{Topic} for [beginners|families|the impatient|busy {role}~s]: a~ {look_object} {abstract}
What I learned from {num} [days|weeks|years] of {topic}|Easy {look_food} {food} with {food} and {food}
{Food} and {food} {dish}[ (no {food} needed)| - serves {num}|]
Our {look_building} {building} makeover: {colour} walls, {material} {object}~s
A {n1}-minute {food} {dish} [for|after] {topic} {time}|The {abstract} of {plant}~s: {topic} notes from {town}
DIY {material} {object} [with|from] {look_object} {object}~s
[Packing|Planning|Saving] for {region}: {cloth}, {object} and a~ {object}|{person}'s {food} {dish}, step {num}
Free {topic} printable: {animal}, {plant} and {object}|{season} {year} {topic} [roundup|calendar|wish list]
{Look_object} [or|versus] {look_object}? Choosing {material} {object}~s for your {building}
Is {topic} [worth it|dead|for you]? {person} on {abstract}~s
{town} in {num} [days|hours|pictures]: {building}, {scenery}, {food}~s
[Review|Tested|Unboxing]: {brand} {adj_obj} ({year})|{Topic} tip: never {verbplain} {look_object} {object}~s {time}
Slow-cooked {food} in {colour} {food} sauce|{Object} storage [for|in] a~ {look_building} {building}
Pattern: {look_animal} {animal} {cloth}, [crochet|knitted|sewn], age {num}
Roast {food}, {look_food} {food} and {food} {dish}|Things [nobody|everyone] tells you about {topic} and {topic}
{Animal}~s [are|were] {doing_animal}: {topic} diary, week {n1}
"""
"""Blog posts, recipes, how-to."""

PRODUCT = """
{brand} {material} {object} [with|and] {colour} {object}[, {n1} cm|]|{Material} {object} - {colour}/{colour} - {brand}
{brand} {model} {object} ({colour})|[Men's|Women's|Kids'|Unisex] {look_cloth} {cloth} in {colour} {fabric}[ by {brand}|]
{Look_animal} {animal} {object}, {material}, set of {num}|{Colour} {cloth}, size {size}[, {brand}|]
{brand} {look_food} {food} [{n3} g|{n1} x {num} g|]|Replacement {object} for {brand} {model}
{Plant} scented {object}, {colour}, {n3} ml|{n3}pc {topic} {object} kit [by|from] {brand}
Vintage {town} {material} {object}, {decade}s|{brand} {model} {vehicle} [spare part|manual|roof box]
{Look_object} {material} {object} for {building}, {n1}" x {n1}"|Hand-{hand} {animal} {object} [from|made in] {region}
{Animal} and {plant} {fabric} {cloth}|{brand} "{title}" {cloth}, {colour}[ - SALE|]
Lot {n3}: {look_object} {material} {object}, {region}|{person} {material} {object} [no.|Nr.] {n1}
{Plant} {look_object} seeds, {n3} pcs|{brand}-{model} {adj_obj}|{n1}mm {material} {object}, {brand} {model}
{Colour} {material} {thing} [cover|hook|stand|feet]|Used {brand} {model} {vehicle}, {year}, {colour}, {town}
[Dog|Cat|Rabbit|Bird] {object} [with|in] {look_object} {material}, {colour}
{Look_object} {colour} {cloth} {role} costume|{Building} {object}: {material}, {look_object}, {n1} W
{Topic} {object} gift for {role}~s, {colour}|{brand} & {last} {fabric} {cloth}
{num}-pack {look_cloth} {cloth}, {colour}/{colour}/{colour}
"""
"""Products of shops that have no template."""

SOCIAL = """
{doing_role} {time} {emoji}|{emoji} {look_animal} {animal} alert {emoji}
[today's|this morning's] {food} {emoji} #{topic} #{plant}|#{animal} #{look_object} #{scenery} #{town}
{Look_food} {food} [for two|in {town}|again] {emoji}|@{handle} {prep} the {look_building} {building} {emoji}
[when|that moment] the {animal} is {doing_animal} {manner} {emoji}|{town} {emoji} {season} {year}
me [and|vs] the {look_object} {object} {emoji}{emoji}|new {cloth}, who dis? {emoji} {brand}
{first} [+|&] {first} {prep} a~ {scenery} {emoji}|[so|not] {look_object}, [so|very] {look_object} {emoji} #{topic}life
[repost|regram] @{handle}: {look_plant} {plant} {emoji}|May be an image of {num} people, {animal} and {thing}
Image may contain: {animal}, {plant}, {object}[ and {food}|]|{emoji} {title} - {handle}
"""
"""Social media."""

FILES = """
DSC_{n4}[.jpg|.JPG|]|IMG_{year}{n4}_{n3}.jpg|{object}-{colour}-{n1}.png|{town}_{building}_{n3}|P{n4}{n3}.JPG
{last}-{year}-{topic}[-web|_final|].jpg|{brand}_{model}_{object}.webp|{n4}{n3}{n4}
{animal}_on_{object}_[small|{n3}x{n3}|thumb].jpg|scan{n4}_{last}.tif|{topic}[-|_]{abstract}[-|_]{year}.gif
Screenshot {year}-[0|1]{num}-{n1} at {town}.png|{material}{object}{n1}.jpeg|File:{town} {building} {n3}.svg
"""
"""File names."""

SHORT = """
{look_thing}|{colour} {cloth}|{Plant} {object}|{town} {building}|{person}|{brand}|{brand} {model}|{Animal}|{Food}
{Topic} {abstract}|{scenery}|{Object}|{title}|{material} {object}|{town}|{year}
"""
"""One or two words."""

OTHER = """
{person} wearing {colour} {cloth} at the {event} in {town}
{num} bed [house|flat|{building}] {prep} the {scenery}, {town} [for sale|to let|sold]
Quote by {person}: "{Look_object} {abstract}~s make {look_role} {role}~s"
{sport} - {town}'s {person} {doing_role} against {town} ({month} {year})
Diagram showing the {object} of a~ {look_vehicle} {vehicle}|Chart: {topic} {abstract} in {region}, {year} to {year}
Tattoo of a~ {animal} with {plant}~s[, {person}|]|{Animal} ({latin}), {town} {scenery}|{latin} in {scenery} habitat
{Plant} '{first}' ({latin})|Character sheet: {first} the {look_role} {role}, level {num}
Level {num}: the {look_building} {building} of {person}|Crossword: {look_object} {object} ({num} letters)
[Coat of arms|Logo|Flag] of {town}: {animal} [over|and] {num} {plant}~s|{year} {brand} {model} [engine|dashboard|advert]
{Building} wedding of {first} & {first}, {town}
Wallpaper {animal}, {scenery}, {colour}, {look_object}, {n3}{n1}x{n3}{n1}
Colouring page {look_animal} {animal} [eats|with|and] {food}|[Podcast|Episode] {n3}: {person} on {topic} and {abstract}
Slide {num} - {Topic} {abstract}, {group}|{Look_scenery} {scenery} {time}, {region}. Oil on {ground}, {year}
"{title}", {view}, {person}, {year}|{person} (left) {doing_role} {prep} {group} in {town}
Concept art: {look_building} {building} {prep} a~ {look_scenery} {scenery}, {time}|<b>{title}</b> &ndash; {person}
{Food} &amp; {food} {dish}|<i>{title}</i>: {topic} {abstract}|{brand}&trade; {adj_obj}
{a_person} &quot;{doing_role}&quot; {prep} a~ {thing}|<a href="#">{town} {topic} {event}</a>
"""
"""Everything else, HTML included."""

REGISTERS = (
    (PHOTO, 22), (ALT, 17), (NEWS, 13), (BLOG, 12), (PRODUCT, 14),
    (SOCIAL, 5), (FILES, 3), (SHORT, 4), (OTHER, 12),
)  # fmt: skip
"""Each register and its weight."""

HEADLINES = (NEWS, BLOG, ALT)
"""Registers whose captions start with a capital."""
