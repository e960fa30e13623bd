"""Captions in other languages and scripts: noun phrases, places and times that fit together in any combination.

Each language has three lists (things, places, moments); a caption joins some of them. Phrases carry their own
agreement, so that every combination is grammatical.
"""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    """Phrases of one language; `joint` stands between a thing and a place (empty where words are not spaced)."""

    things: list[str]
    places: list[str]
    moments: list[str]
    joint: str = " "


def _language(things: str, places: str, moments: str, joint: str = " ") -> Language:
    return Language(things.split("|"), places.split("|"), moments.split("|"), joint)


LANGUAGES: dict[str, Language] = {
    "de": _language(
        "rotes Fahrrad|Frau mit Hund|alte Mühle|zwei Störche|frisches Brot|Mädchen mit Drachen|blaue Straßenbahn|Blick"
        "|Großvater auf der Bank|leere Stühle|Nebel|Apfelkuchen|Schäfer mit Herde|bunte Regenschirme|müder Kater|Kähne",
        "am Seeufer|vor dem Rathaus|hinter der Kirche|auf dem Wochenmarkt|im Schlosspark|unter der Brücke"
        "|über den Dächern"
        "|am Fenster|in der Küche|im Weinberg|neben dem Brunnen|zwischen den Hügeln|auf dem Balkon|am Gleis",
        "im Herbst|nach dem Regen|bei Sonnenaufgang|am Sonntag|kurz vor Weihnachten|um Mitternacht|im Mai|bei Ebbe",
    ),
    "fr": _language(
        "vélo rouge|femme au chapeau|vieux moulin|deux hérissons|tarte aux pommes|garçon endormi|marchande de fleurs"
        "|brume"
        "|chaises vides|phare blanc|chat noir|péniche amarrée|café crème|grand-mère|fenêtre fleurie|âne gris",
        "au bord du lac|devant la mairie|derrière l'église|sur le marché|dans le jardin|sous le pont|à la fenêtre"
        "|près de la fontaine|dans la cuisine|sur la jetée|entre les vignes|au sommet|dans la forêt|à côté du château",
        "en automne|après la pluie|à l'aube|le dimanche|en été|à minuit|pendant la fête|au crépuscule",
    ),
    "es": _language(
        "bicicleta roja|mujer con sombrero|viejo molino|dos cigüeñas|pan recién hecho|niño con cometa|gato dormido"
        "|niebla"
        "|sillas vacías|faro blanco|pescador|abuela sonriente|barca azul|tortilla de patatas|burro gris|músico",
        "junto al lago|frente al ayuntamiento|detrás de la iglesia|en el mercado|en el jardín|bajo el puente"
        "|en la ventana"
        "|cerca de la fuente|en la cocina|sobre los tejados|entre viñedos|en la montaña|en el malecón"
        "|al lado del castillo",
        "en otoño|después de la lluvia|al amanecer|el domingo|en agosto|a medianoche|durante la feria|al anochecer",
    ),
    "it": _language(
        "bicicletta rossa|donna con cappello|vecchio mulino|due cicogne|pane fresco|bambina con aquilone|gatto nero"
        "|nebbia"
        "|sedie vuote|faro bianco|pescatore|nonna sorridente|barca azzurra|torta di mele|asino grigio|violinista",
        "in riva al lago|davanti al municipio|dietro la chiesa|al mercato|nel giardino|sotto il ponte|alla finestra"
        "|vicino alla fontana|in cucina|sopra i tetti|tra le vigne|in montagna|sul molo|accanto al castello",
        "in autunno|dopo la pioggia|all'alba|di domenica|in agosto|a mezzanotte|durante la festa|al tramonto",
    ),
    "pt": _language(
        "bicicleta vermelha|mulher com chapéu|moinho antigo|duas cegonhas|pão quente|menina com balão|gato preto|névoa"
        "|cadeiras vazias|farol branco|pescador|avó sorridente|barco azul|bolo de maçã|burro cinzento|canção",
        "à beira do lago|em frente à câmara|atrás da igreja|na feira|no jardim|debaixo da ponte|à janela"
        "|perto da fonte|na cozinha|sobre os telhados|entre as vinhas|na montanha|no cais|ao lado do castelo",
        "no outono|depois da chuva|ao amanhecer|no domingo|em agosto|à meia-noite|durante a festa|ao pôr do sol",
    ),
    "pl": _language(
        "czerwony rower|kobieta w kapeluszu|stary młyn|dwa bociany|świeży chleb|dziewczynka z latawcem|czarny kot|mgła"
        "|puste krzesła|biała latarnia|rybak|uśmiechnięta babcia|niebieska łódź|szarlotka|szary osioł|śpiący źrebak",
        "nad jeziorem|przed ratuszem|za kościołem|na targu|w ogrodzie|pod mostem|przy oknie|obok fontanny|w kuchni"
        "|ponad dachami|w winnicy|w górach|na molo|koło zamku",
        "jesienią|po deszczu|o świcie|w niedzielę|w sierpniu|o północy|podczas jarmarku|o zmierzchu",
    ),
    "cs": _language(
        "červené kolo|žena v klobouku|starý mlýn|dva čápi|čerstvý chléb|děvče s drakem|černá kočka|mlha|prázdné židle"
        "|bílý maják|rybář|usměvavá babička|modrá loďka|jablečný závin|šedý osel|spící hříbě",
        "u jezera|před radnicí|za kostelem|na trhu|v zahradě|pod mostem|u okna|vedle kašny|v kuchyni|nad střechami"
        "|ve vinici|v horách|na molu|poblíž zámku",
        "na podzim|po dešti|za úsvitu|v neděli|v srpnu|o půlnoci|během jarmarku|za soumraku",
    ),
    "tr": _language(
        "kırmızı bisiklet|şapkalı kadın|eski değirmen|iki leylek|taze ekmek|uçurtmalı çocuk|kara kedi|sis"
        "|boş sandalyeler"
        "|beyaz fener|balıkçı|gülen nine|mavi tekne|elmalı turta|gri eşek|uyuyan tay",
        "göl kıyısında|belediyenin önünde|kilisenin arkasında|pazarda|bahçede|köprünün altında|pencerede"
        "|çeşmenin yanında"
        "|mutfakta|çatıların üstünde|bağda|dağlarda|iskelede|kalenin dibinde",
        "sonbaharda|yağmurdan sonra|şafakta|pazar günü|ağustosta|gece yarısı|bayramda|alacakaranlıkta",
    ),
    "vi": _language(
        "xe đạp đỏ|người phụ nữ đội nón|cối xay cũ|hai con cò|bánh mì nóng|em bé thả diều|mèo đen|sương mù|ghế trống"
        "|ngọn hải đăng|ông lão đánh cá|bà cụ mỉm cười|thuyền xanh|bát phở|con lừa|hoa sen",
        "bên hồ|trước toà thị chính|sau nhà thờ|ở chợ|trong vườn|dưới cầu|bên cửa sổ|cạnh đài phun nước|trong bếp"
        "|trên mái nhà|giữa đồi chè|trên núi|ngoài bến cảng|gần lâu đài",
        "mùa thu|sau cơn mưa|lúc bình minh|ngày chủ nhật|tháng tám|nửa đêm|ngày hội|lúc hoàng hôn",
    ),
    "ru": _language(
        "красный велосипед|женщина в шляпе|старая мельница|два аиста|свежий хлеб|девочка со змеем|чёрный кот|туман"
        "|пустые стулья|белый маяк|рыбак|улыбчивая бабушка|синяя лодка|яблочный пирог|серый осёл|спящий жеребёнок",
        "у озера|перед ратушей|за церковью|на рынке|в саду|под мостом|у окна|возле фонтана|на кухне|над крышами"
        "|среди виноградников|в горах|на причале|рядом с замком",
        "осенью|после дождя|на рассвете|в воскресенье|в августе|в полночь|во время ярмарки|в сумерках",
    ),
    "uk": _language(
        "червоний велосипед|жінка в капелюсі|старий млин|два лелеки|свіжий хліб|дівчинка зі змієм|чорний кіт|туман"
        "|порожні стільці|білий маяк|рибалка|усміхнена бабуся|синій човен|яблучний пиріг|сірий віслюк|їжак",
        "біля озера|перед ратушею|за церквою|на базарі|у саду|під мостом|коло вікна|поруч із фонтаном|на кухні"
        "|над дахами"
        "|серед виноградників|у горах|на причалі|неподалік замку",
        "восени|після дощу|на світанку|в неділю|у серпні|опівночі|під час ярмарку|у сутінках",
    ),
    "el": _language(
        "κόκκινο ποδήλατο|γυναίκα με καπέλο|παλιός μύλος|δύο πελαργοί|φρέσκο ψωμί|κορίτσι με χαρταετό|μαύρη γάτα|ομίχλη"
        "|άδειες καρέκλες|λευκός φάρος|ψαράς|χαμογελαστή γιαγιά|γαλάζια βάρκα|μηλόπιτα|γκρίζο γαϊδούρι|μουσικός",
        "δίπλα στη λίμνη|μπροστά στο δημαρχείο|πίσω από την εκκλησία|στην αγορά|στον κήπο|κάτω από τη γέφυρα"
        "|στο παράθυρο"
        "|κοντά στο σιντριβάνι|στην κουζίνα|πάνω από τις στέγες|στο αμπέλι|στα βουνά|στην προβλήτα|έξω από το κάστρο",
        "το φθινόπωρο|μετά τη βροχή|την αυγή|την Κυριακή|τον Αύγουστο|τα μεσάνυχτα|στο πανηγύρι|το σούρουπο",
    ),
    "ar": _language(
        "دراجة حمراء|امرأة بقبعة|طاحونة قديمة|لقلقان|خبز طازج|طفلة مع طائرة ورقية|قطة سوداء|ضباب|كراس فارغة|منارة بيضاء"
        "|صياد|جدة مبتسمة|قارب أزرق|فطيرة تفاح|حمار رمادي|عازف عود",
        "على ضفة البحيرة|أمام البلدية|خلف المسجد|في السوق|في الحديقة|تحت الجسر|عند النافذة|قرب النافورة|في المطبخ"
        "|فوق الأسطح|بين الكروم|في الجبال|على الرصيف|بجانب القلعة",
        "في الخريف|بعد المطر|عند الفجر|يوم الجمعة|في الصيف|منتصف الليل|خلال المهرجان|وقت الغروب",
    ),
    "he": _language(
        "אופניים אדומים|אישה עם כובע|טחנה ישנה|שתי חסידות|לחם טרי|ילדה עם עפיפון|חתול שחור|ערפל|כיסאות ריקים|מגדלור לבן"
        "|דייג|סבתא מחייכת|סירה כחולה|עוגת תפוחים|חמור אפור|נגן",
        "על שפת האגם|מול העירייה|מאחורי הכנסייה|בשוק|בגינה|מתחת לגשר|ליד החלון|סמוך למזרקה|במטבח|מעל הגגות|בכרם|בהרים"
        "|על המזח|לצד הטירה",
        "בסתיו|אחרי הגשם|עם שחר|ביום שבת|באוגוסט|בחצות|בזמן היריד|בין הערביים",
    ),
    "hi": _language(
        "लाल साइकिल|टोपी वाली महिला|पुरानी चक्की|दो सारस|ताज़ी रोटी|पतंग उड़ाती बच्ची|काली बिल्ली|कोहरा|खाली कुर्सियाँ"
        "|सफ़ेद मीनार"
        "|मछुआरा|मुस्कुराती दादी|नीली नाव|सेब का मुरब्बा|गधा|बाँसुरी वादक",
        "झील के किनारे|नगर भवन के सामने|मंदिर के पीछे|बाज़ार में|बगीचे में|पुल के नीचे|खिड़की पर|फव्वारे के पास"
        "|रसोई में|छतों के ऊपर"
        "|खेतों में|पहाड़ों पर|घाट पर|किले के बगल में",
        "शरद में|बारिश के बाद|भोर में|रविवार को|अगस्त में|आधी रात|मेले के दौरान|शाम को",
    ),
    "zh": _language(
        "红色自行车|戴帽子的女人|旧磨坊|两只白鹤|新鲜面包|放风筝的孩子|黑猫|晨雾|空椅子|白色灯塔|老渔夫|微笑的奶奶"
        "|蓝色小船|苹果馅饼|灰驴"
        "|弹琵琶的人|糖葫芦|青花瓷茶壶|骑马少年|荷花",
        "在湖边|市政厅前|寺庙后面|集市上|花园里|石桥下|窗台边|喷泉旁|厨房中|屋顶之上|葡萄架下|高山间|码头|城堡附近"
        "|竹林深处|茶馆门口",
        "秋天|雨后|黎明|星期日|八月|午夜|庙会期间|黄昏|初雪|端午节",
        "",
    ),
    "ja": _language(
        "赤い自転車|帽子の女性|古い水車|二羽の鶴|焼きたてパン|凧を揚げる少年|黒猫|朝霧|空っぽの椅子|白い灯台|漁師さん"
        "|笑う祖母|青い小舟"
        "|林檎タルト|ロバ|琴の演奏|風鈴|たい焼き|陶芸家|紫陽花",
        "湖のほとりで|市役所前にて|お寺の裏|朝市にて|庭園|橋の下|窓辺|噴水のそば|台所|屋根の上|ぶどう畑|山あい|桟橋"
        "|お城の近く|竹やぶ|喫茶店",
        "秋|雨あがり|夜明け|日曜日|八月|真夜中|お祭りの日|夕暮れ|初雪|梅雨",
        "、",
    ),
    "ko": _language(
        "빨간 자전거|모자 쓴 여자|오래된 방앗간|두루미 두 마리|갓 구운 빵|연 날리는 아이|검은 고양이|안개|빈 의자"
        "|하얀 등대|어부"
        "|웃는 할머니|파란 나룻배|사과 파이|당나귀|가야금 연주자",
        "호숫가에서|시청 앞|절 뒤편|시장에서|정원에서|다리 아래|창가에|분수 옆|부엌에서|지붕 위로|포도밭 사이|산속"
        "|부두에서|성 근처",
        "가을|비 온 뒤|새벽|일요일|팔월|한밤중|축제 날|해 질 녘",
    ),
}
"""By ISO 639-1 code."""

SHAPES = (
    "{t}{j}{p}", "{t}{j}{p}, {m}", "{t}", "{m}: {t}{j}{p}", "{t}, {t}", "{t} + {t}", "{p}", "{t} ({m}, {year})",
    "{m} - {t}",
    "{t}{j}{p}. {t}!", "{name}: {t}{j}{p}", "{t}{j}{p} © {name}", "{town}, {m}: {t}", "{t} | {town} {year}",
    "{t}? {p}!",
    "{t}, {t}, {t}{j}{p}", "{t} {emoji}", "{p}, {m}. {t}", "#{town} {t}{j}{p}", "{t} №{n2}", "{t}{j}{p} / {brand}",
)  # fmt: skip
