"""What the voices of the demo corpus say: sentences with slots, by the emotion that they tell."""

SLOTS = {
    "who": "my brother|my sister|the landlord|our neighbour|my boss|the doctor|my cousin|Martha"
    "|my uncle|the new teacher|Peter|my flatmate",
    "thing": "the car|the letter|the blue folder|the old camera|my suitcase|the laptop|the key"
    "|the report|the bicycle|the ticket|my coat|the piano",
    "place": "the station|the office|the kitchen|the library|the harbour|the hospital|the market"
    "|the museum|the garden|the airport|the theatre",
    "past": "this morning|last night|on Monday|yesterday|an hour ago|last week|on Sunday",
    "when": "tomorrow|next week|on Friday|tonight|in March|this weekend|after lunch",
}

LINES = {
    "ang": """
        How dare you speak to {who} like that.
        Get out of {place} right now, I have had enough of you.
        You lied to me about {thing} and I am furious.
        I am sick of your stupid excuses about {thing}.
        Don't you ever touch {thing} again.
        This is outrageous, I demand my money back {when}.
        Shut up and leave {who} alone.
        You ruined {thing} and you don't even apologise.
        I hate the way {who} bosses me around.
        Stop shouting at me, you arrogant fool.
        Who the hell allowed you to take {thing}?
        I swear I will scream if {who} says that again.
        That was a damn insult to {who} and you know it.
        You never listen, it makes my blood boil.
        {who} cheated me and is going to pay for it.
        How many times must I tell you to stay out of {place}?
        I am so mad at {who} that I could smash something.
        Do not lie to my face about {place}.
        Take your hands off {thing}, you thief.
        It is your fault that we lost {thing}, you idiot.
        I will not be treated like dirt by {who}.
        Are you deaf, I said no to {who}.
        What kind of jerk steals {thing}?
        Enough, I am done with your nonsense about {place}.
        You had no right to throw away {thing}.
        Don't you dare walk away from me at {place}.
        {who} is a liar and a bully.
        I am going to sue {place}, this is a scandal.
        """,
    "hap": """
        I am so glad that {who} came home {past}.
        We had a wonderful time at {place} {past}.
        It makes me smile whenever I think of {place}.
        {who} gave me the sweetest present {past}.
        I love sitting in the sun by {place} with you.
        What a lovely surprise to see {who} again.
        I feel really happy about {thing}, thank you so much.
        You did a great job with {thing}, I am proud of you.
        Life has been good since we moved near {place}.
        {who} told the funniest joke {past}.
        I could not ask for a better friend than {who}.
        That dinner with {who} was simply delightful.
        It is so nice to be with you at {place}.
        I am grateful for everything {who} did for us.
        The children laughed all day at {place}.
        Everything turned out beautifully with {thing}.
        We are blessed to have {who} in our life.
        """,
    "exc": """
        Guess what, I won {thing} in the lottery.
        I got the job at {place}, can you believe it?
        Oh my God, {who} is getting married {when}.
        I can't wait to fly to Hawaii {when}.
        We did it, we beat them all at {place}.
        This is the best day of my life, look at {thing}.
        Yes, yes, they said yes about {place}.
        I am thrilled, {who} is having a baby.
        Wow, that was an amazing show at {place}.
        They accepted me, I start at {place} {when}.
        Let's celebrate {when}, champagne for {who}.
        It is going to be awesome, {who} is coming {when}.
        I have dreamed of {thing} since I was five, and now it is mine.
        We are finally going on our honeymoon {when}.
        Hooray, {who} passed the exam {past}.
        Incredible, {who} got us front row seats {when}.
        """,
    "sad": """
        I miss {who} so much that it hurts.
        {who} died {past} and I can't stop crying.
        I feel so alone since {who} left.
        We had to bury our old dog near {place} {past}.
        Nothing will ever be the same without {who}.
        I lost everything when {place} burned down.
        It breaks my heart to see {who} so ill.
        I don't think I can go on without {who}.
        She said goodbye at {place} and never came back.
        I just sit near {place} and weep.
        I wish I had told {who} how sorry I am.
        All that is left of him is {thing}.
        I cried all night because of {who}.
        There is no hope any more, the doctors at {place} gave up.
        I have been so lonely since {past}.
        It was my mother's, and now {thing} is gone forever.
        Nobody came to the funeral except {who}.
        I feel empty whenever I walk past {place}.
        {who} does not love me any more.
        The baby did not survive, and I keep thinking of {place}.
        I will never see {who} again.
        My heart is heavy whenever I look at {thing}.
        I am afraid that our marriage ended {past}.
        We grew up near {place}, and it is all lost now.
        I let {who} down, and I will regret it all my life.
        """,
    "neu": """
        I put {thing} on the second shelf {past}.
        The bus to {place} leaves at ten past four.
        {who} said that the meeting is {when}.
        You can leave {thing} next to the door.
        I think {place} opens at nine.
        We talked about {thing} with {who} {past}.
        Could you fill in this form for {who}?
        It is about two miles from here to {place}.
        {who} is going to call you {when}.
        I walked from {place} to the bridge {past}.
        They are painting {place} {when}.
        Is {thing} still at {place}?
        There are two boxes for {who} in the hall.
        I had the soup and {who} had the fish.
        So you turn left at {place} and then go straight on.
        Well, {who} usually takes the train to {place}.
        I have an appointment at {place} {when}.
        You need a passport and a photograph for {place}.
        {who} asked me to bring {thing} {when}.
        The price of {thing} is on the label.
        I will send the list to {who} {when}.
        It was quarter to six when {who} phoned.
        Did you say that {who} works at {place}?
        We moved {thing} to the other room {past}.
        Okay, then I will meet {who} at {place}.
        I read about {place} in the paper {past}.
        The number of {place} is in the book.
        Have you spoken to {who} since {past}?
        I told {who} what you said about {thing}.
        Apparently {who} is at {place} again.
        You know what {who} said about {thing}.
        This is what we are going to do {when}.
        I was at {place} when {who} came in.
        So {who} took {thing} to {place} {past}.
        I heard the whole story from {who} {past}.
        And then {who} just looked at {thing}.
        It is the third time this month with {thing}.
        That is how it went at {place} {past}.
        {who} will be there with {thing} {when}.
        I found {thing} at {place} {past}.
        """,
    "fru": """
        I have been waiting at {place} for three hours and nothing moves.
        I explained it to {who} five times and it still does not work.
        Every time I fix {thing} it breaks again.
        Why is it so hard to get a simple answer from {place}?
        They lost my papers again, now I must go back to {place}.
        I keep trying with {who} and it leads nowhere.
        Fine, I will do it myself, as always.
        It is the same old argument about {thing}.
        """,
    "sur": """
        What, {who} is here already?
        I never expected to find {thing} at {place}.
        Wait, you sold {thing} {past}?
        No way, {who} speaks Chinese?
        """,
    "fea": """
        Please don't leave me alone at {place}, I am scared.
        Somebody is following us from {place}.
        I heard a noise near {thing}, lock the door.
        I am terrified that {who} will find out {when}.
        """,
    "dis": """
        There was mould all over {thing}, it made me sick.
        That smell from {place} is revolting.
        {who} spat on {thing}, how gross.
        """,
}
LINES["oth"] = LINES["neu"]

BACKCHANNELS = ("Okay.", "Right.", "Mm, yes.", "Sure.", "I see.", "Well.")
# Go along with what was said before, whatever it was. Of too few words to be a script.
ANSWERS = (
    "Yes, same here.",
    "Me too, really.",
    "So do I.",
    "Just like me.",
    "My words exactly.",
    "Same with me.",
)
TAGS = {  # what the tag sounds like
    "[LAUGHTER]": "ha ha ha ha.",
    "[BREATHING]": "hah, hah.",
    "[GARBAGE]": "hm um er.",
}
