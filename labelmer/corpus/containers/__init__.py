"""What an audio file holds, counted from its bytes: the length in its header is not believed.

A file is one stream or several, one behind the other. Where a header counts less or more than
there is, the stream gets a mended header, so that libsndfile decodes all of it. What is mended, and
what cannot be decoded, is a finding: (kind, sentence). Each module here knows one kind of file:
its read(data, start) gives the streams from a byte on, findings, and the byte where the next stream
begins, or None.
"""

from labelmer.corpus.containers import counted, flac, mp3, ogg
from labelmer.corpus.containers.stream import Data, Finding, Stream
from labelmer.corpus.containers.tags import after_tags, behind

# By how a stream begins; an MP3 begins with a frame.
READERS = dict.fromkeys(counted.MAGICS, counted.read) | {b"OggS": ogg.read, b"fLaC": flac.read}


def streams(data: Data) -> tuple[list[Stream], list[Finding]]:
    """The streams of a file and what is wrong with it: (list of Stream, list of findings).

    data: the bytes of the file, or its mapping. No streams: it is of a format whose length is not
    checked here.
    """
    found: list[Stream] = []
    findings: list[Finding] = []
    place: int | None = after_tags(data, 0)
    while place is not None and place < len(data):
        magic = data[place : place + 4]
        read = READERS.get(magic) or (mp3.read if mp3.frame_at(magic) else None)
        if read is None:
            break
        start = place
        more, said, place = read(data, start)
        found += more
        findings += said
        if not more:
            if found:
                findings += behind(data, start, "stream")
            break
    return found, findings
