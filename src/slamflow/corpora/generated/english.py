"""Common regular English words, arranged by sound, which no pseudo-word may resemble.

They stand beside the synthesiser's dictionary, which lists mostly irregular words. With their
inflected forms they show which runs of phones English has.
"""

_BY_SOUND = """
back black crack pack rack sack snack stack tack track act fact cat bat fat flat hat mat pat rat
bad dad glad had lad mad sad bag drag flag rag tag bang gang hang rang sang slang ban can fan man
pan plan ran scan tan van band brand grand hand land sand stand bank blank drank rank sank tank
thank camp cramp damp lamp stamp clamp cap clap gap map nap slap snap strap tap trap wrap ash cash
crash dash flash smash splash trash gas glass grass class mass pass ask mask task past fast last
cast blast half laugh staff craft draft shaft after path bath rather father gather ant chant grant
plant slant dance chance glance branch ranch mantle handle candle sandal scandal able cable table
stable fable cake bake lake make rake shake snake take wake brake flake ail fail hail jail mail
nail pail rail sail tail trail aim claim game blame flame frame lame name same shame gain brain
chain drain grain main pain plain rain stain train strain ace face grace lace pace place race
space trace age cage page rage stage wage change range strange arrange date gate hate late mate
plate rate skate state bait wait fade grade made shade trade aid maid paid raid brave cave gave
grave save shave wave slave haze blaze amaze phrase praise raise baby lady shady navy gravy bar
car far jar star arm charm farm harm art cart chart dart part smart start bark dark mark park
shark spark card guard hard yard large charge march arch harsh marsh carve starve target garden
harden partner market marble garlic carpet bed dead fed head led lead read red said shed shred
sled spread thread wed bet debt get jet let met net pet set threat upset wet beg egg leg peg bell
cell fell hell sell shell smell spell swell tell well yell belt felt melt elf self shelf help held
den hen men pen ten then when end bend blend friend lend mend send spend tend trend cent dent rent
sent spent tent went event lent bench french trench less bless chess dress guess mess press stress
best chest guest nest pest rest test vest west desk fresh flesh mesh neck check deck peck wreck
next text step slept kept swept crept wept depth death health wealth breath leather weather
feather heather never clever ever sever level medal metal petal settle kettle pebble treble second
spectacle sketch fetch stretch edge hedge ledge wedge dredge gesture pressure measure treasure
pleasure lesson session mention tension penny plenty twenty entry envy heavy ready steady berry
ferry merry very bury error terror be bee fee free he knee me sea see she tea three tree we agree
bead deed feed heed need seed weed speed bleed breed beef brief chief grief leaf reef thief beach
each peach reach speech teach beak cheek creek leak meek peak seek sneak speak squeak streak weak
week deal feel heal heel kneel meal peel real seal steal steel wheel beam cream dream gleam scream
seam seem steam stream team theme bean clean green keen lean mean queen scene screen seen teen
wean cheap creep deep heap jeep keep leap sheep sleep steep sweep weep grease crease lease peace
piece niece beast feast least east priest yeast beat cheat eat feet heat meat meet neat seat sheet
street sweet treat wheat breathe teeth ease cheese freeze please sneeze squeeze tease breeze leave
sleeve weave believe receive achieve eager leader reader feature creature teacher easy greedy
speedy meeting needle beetle people fever beaver secret recent decent region season reason eagle
legal evil equal ear beard clear dear fear gear hear near rear tear year beer cheer deer steer
pierce fierce weird bib crib rib did grid hid kid lid slid skid big dig fig pig twig wig bill
chill drill fill grill hill ill kill mill pill skill spill still thrill will guild build built
gift lift shift swift drift if cliff sniff stiff in bin chin fin grin pin sin skin spin thin tin
twin win wind hint mint print sprint squint since prince wince inch pinch flinch drink ink link
pink shrink sink stink think wink blink bring king ring sing sling spring sting string swing thing
wing dim him limb rim skim slim swim trim chip clip dip drip flip grip hip lip rip ship sip skip
slip strip tip trip whip zip script crisp lisp risk disk brisk fish dish wish swish wrist list
mist twist fist kiss miss this hiss bit fit hit it knit lit pit quit sit slit spit split kit grit
wit ditch pitch rich stitch switch twitch which witch kick lick pick quick sick stick thick tick
trick wick brick click six fix mix bridge fridge ridge cricket ticket wicket picket thicket
chicken kitchen kitten mitten written bitten listen glisten middle riddle fiddle little brittle
whittle nibble dribble scribble giggle wriggle ripple triple simple dimple single jingle mingle
tickle pickle trickle sickle whistle thistle bitter glitter litter twitter sister blister winter
splinter printer dinner inner finger linger silver shiver river quiver liver timber limber slipper
dipper flipper whisper crisper chimney misty sixty fifty filthy guilty city pity pretty witty busy
dizzy fizzy vision division mission permission position condition tradition ambition picture
mixture scripture eye buy cry die dry fly fry guy high lie my pie shy sigh sky sly spy tie try why
bribe describe tribe dice ice mice nice price rice slice spice twice advice bride guide hide pride
ride side slide tide wide knife life strife wife bike hike like spike strike child mild wild file
mile pile smile style tile while climb crime dime lime prime rhyme slime time bind blind find
grind hind kind mind dine fine line mine nine pine shine shrine spine swine vine whine wine pint
pipe ripe stripe swipe wipe bite bright fight flight fright height kite knight light might night
polite quite right sight site slight spite tight white write arrive dive drive five hive live
alive prize rise size wise advise tiger spider rider wider cider fiber final rival idle title
island silent private violet pirate lion riot diet quiet giant client science fire hire tire wire
liar dial trial tidy tiny shiny grimy slimy spiky icy block clock cock dock flock knock lock mock
rock shock sock stock box fox ox cob job knob mob rob sob cod god nod odd pod rod bog dog fog frog
hog jog log golf doll solve involve bomb comp swamp on con gone swan bond blond fond pond wand
chop crop drop flop hop mop pop shop stop top swap copse blot cot dot forgot got hot knot lot not
plot pot rot shot slot spot squat watt bother body copy hobby lobby jolly holly folly trolley
volley bottle throttle model hollow follow swallow borrow sorrow tomorrow office coffee toffee
officer bottom common cotton rotten forgotten option honest promise novel novelty problem property
robin rocket pocket locket socket college knowledge monster foster lobster obstacle hospital
hostile boss cross loss moss toss cost frost lost soft loft cloth moth broth long song strong
wrong off cough trough chalk hawk stalk talk walk all ball call fall hall mall small tall wall
false salt fault halt cause clause pause draw jaw law paw raw saw straw thaw claw dawn drawn lawn
pawn prawn yawn haunt launch taught caught daughter bought brought fought thought ought nought
august autumn author awful lawful sauce saucer laundry bore chore core door floor four more or
pour roar score shore snore sore store swore tore war wore board bored cord ford lord sword ward
reward force horse course source coarse north fourth forth born corn horn scorn torn thorn worn
warn morning form storm warm dorm fork cork pork stork short sort sport port fort court quarter
quarterly order border corner former torture orchard forge orbit organ porch torch scorch gorge
normal formal mortal portal forty forties story stories glory boy joy toy enjoy destroy boil coil
foil oil soil spoil coin join loin point joint noise poise poison voice choice moist hoist avoid
annoy employ oyster moisture royal loyal blow bow crow flow glow go grow know low mow no row show
slow snow so throw toe tow woe ago below globe robe boast coast ghost host most post roast toast
boat coat float goat note quote throat vote wrote bone clone cone loan moan own phone stone throne
tone zone blown grown known shown thrown code load road rode toad explode bold cold fold gold hold
mold old scold sold told bolt colt jolt coal bowl goal hole mole pole role roll soul stroll toll
whole choke cloak joke oak poke smoke soak spoke stroke woke foam home roam comb dome chrome hope
rope slope soap scope grove stove drove wove chose close hose nose pose rose those frozen broken
spoken token stolen woven open over clover rover lower grocer soldier shoulder folder boulder
older motor rotor notice ocean motion potion emotion devotion local vocal focal total hotel holy
lonely slowly only pony phony crony bony cozy rosy nosy poem poet social blue chew clue crew drew
few flew glue grew knew new shoe stew threw through true two view who zoo cube tube duke fluke
goose juice loose moose use youth booth tooth smooth soothe boot fruit hoot root route scoot shoot
suit flute mute cute cool fool pool rule school stool tool fuel cruel jewel bloom broom doom gloom
room tomb womb zoom goon moon noon soon spoon swoon tune dune june prune rude food mood brood
crude feud nude choose bruise cruise lose news ooze snooze prove groove move roof proof hoof group
hoop loop scoop soup troop stoop super stupid student tuna tuner tulip music union unit human
humid future ruin fluid beauty duty ruby movie cookie booking bosom book brook cook crook hook
look shook took full bull pull wool wolf push bush cushion good hood stood wood could should would
foot put soot woman sugar butcher bullet pudding woolly bully fully bud blood flood mud stud thud
bug drug dug hug jug mug plug rug shrug slug snug tug buck chuck duck luck muck pluck struck stuck
suck truck tuck bus fuss plus thus us dust gust just lust must rust thrust trust brush crush flush
hush rush blush cuff fluff puff rough stuff tough enough bluff cup pup but cut gut hut nut shut
strut bunch crunch hunch lunch munch punch bump clump dump grump hump jump lump plump pump stump
thump come crumb drum dumb from gum hum numb plum some sum thumb bun done fun gun none nun one run
shun son spun stun sun ton won fund hunt blunt front grunt stunt month bunk chunk drunk dunk junk
monk shrunk skunk sunk trunk hung lung rung sprung stung strung sung tongue young judge budge
fudge grudge nudge trudge dove glove love shove above buzz does other brother mother smother
another nothing something cover hover lover oven dozen cousin honey money monkey funny sunny bunny
runny puppy muddy study buddy buddha bubble double trouble stubble rubble juggle struggle smuggle
snuggle cuddle huddle muddle puddle couple uncle knuckle buckle chuckle jungle bundle humble
crumble fumble grumble mumble stumble tumble thunder under wonder hunger number lumber slumber
summer hammer butter mutter shutter flutter gutter stutter butler hustle bustle muscle rustle
customer custom public subject button mutton sudden hundred hunter gulf gull dull skull cult
result adult bulk sulk bulb bird word heard third herd blur fur her purr sir stir were birth earth
worth worm firm term germ burn churn earn fern learn turn return bursts burst first thirst worst
worse curse nurse purse verse church lurch perch search birch burp chirp hurt dirt shirt skirt
squirt alert desert dessert work jerk clerk lurk shirk smirk girl curl hurl pearl twirl swirl
world curve nerve serve swerve deserve verb curb surf turf person nervous service servant journey
turkey thirsty thirty dirty early certain curtain turtle hurdle girdle purple circle circus
circuit murder burden urgent merchant surface perfect brow cow how now plow vow allow bounce ounce
pounce announce couch crouch grouch pouch slouch ouch cloud crowd loud proud aloud crowned brown
clown crown down drown frown gown noun town bound found ground hound mound pound round sound
surround wound count mount amount fountain mountain flower power shower tower hour our sour flour
house mouse louse blouse spouse mouth south out about doubt pout scout shout snout spout sprout
trout thousand trousers towel vowel bowel owl fowl growl howl prowl browse county counter powder
louder chowder coward air bear care chair dare fair fare flare glare hair hare pair pear prayer
rare scare share spare square stair stare swear there wear where aware repair compare prepare
parent area vary scary dairy fairy hairy marry carry sherry cherry barrel carrot parrot narrow
arrow sparrow marrow barrow apple grapple dapple happy snappy scrappy ladder adder saddle paddle
straddle battle cattle rattle tackle crackle shackle ankle rankle angle dangle tangle strangle
jangle sample trample example ample scramble gamble ramble dazzle puzzle muzzle nuzzle wiggle
jiggle wobble hobble gobble cobble bramble camel panel channel tunnel funnel barley valley alley
rally tally sally gallon salad ballad valid talent balance palace planet magnet basket casket
bracket jacket packet racket blanket gadget budget nugget bucket trumpet puppet poppet rabbit
habit bandit credit limit spirit visit exit profit edit admit active native captive massive
passive expensive mansion passion fashion ration nation station vacation action fraction traction
lantern pattern western eastern modern master plaster disaster faster pastor actor factor tractor
doctor sailor tailor razor major minor savage cabbage damage manage baggage luggage garbage
package village image message passage sausage courage cottage vintage voyage sandwich spinach
stomach ostrich cabin basin raisin satin latin ribbon reckon beckon wagon dragon prison bacon
apron melon lemon felon salmon almond diamond husband legend weekend fatal pedal signal tribal
bridal tidal vital rental mental dental gentle gentler central cancel parcel hazel easel weasel
vessel tassel hassle castle wrestle nestle bristle lazy crazy hazy daisy noisy messy fussy glossy
bossy tricky sticky lucky rocky rusty dusty crusty trusty nasty tasty hasty pasty party artsy army
barmy stormy chilly silly hilly frilly skinny grumpy lumpy bumpy jumpy crispy wispy sleepy creepy
skimpy hungry angry country pantry sentry gentry poultry sultry ugly smugly snugly slam spam cram
gram ham jam ram swam yam clam exam program triggered fortune torturer tortured handy brandy candy
dandy sandy snort sprain quirk creak qualm warble gamut pivot fireman sharon showman tether
tethers
"""
COMMON = tuple(_BY_SOUND.split())
