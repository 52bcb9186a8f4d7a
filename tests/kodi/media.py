"""What the player is given: a clip that runs for long enough, channels, their guide, films with a card."""

import subprocess
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

CLIP_SECONDS = 20
_CODECS = "-c:v mpeg4 -q:v 20 -g 5"


def clip(folder):
    """Twenty seconds of a tiny test picture; without sound, since Kodi would wait for a device to play it."""
    path = folder / "clip.ts"
    picture = "-f lavfi -i testsrc2=s=160x90:r=5"
    _ffmpeg(f"{picture} -t {CLIP_SECONDS} {_CODECS} -f mpegts", path)
    return path


def repeated(clip_path, path, seconds):
    """The clip over and over, for at least so many seconds."""
    _ffmpeg(f"-stream_loop {seconds // CLIP_SECONDS} -i {clip_path} -c copy", path)
    return path


def film(clip_path, folder, title, year, genres, seconds):
    """A film with a card beside it, as a library scan takes them."""
    home = folder / f"{title} ({year})"
    home.mkdir(parents=True)
    repeated(clip_path, home / f"{title} ({year}).mkv", seconds)
    words = "".join(f"<genre>{escape(genre)}</genre>" for genre in genres)
    card = f"<movie><title>{escape(title)}</title><year>{year}</year>{words}</movie>"
    (home / f"{title} ({year}).nfo").write_text(card)


def playlist(path, channels, catchup_source):
    """An m3u of (guide id, name, stream) with an archive of a week."""
    lines = ["#EXTM3U"]
    for guide_id, name, stream in channels:
        archive = f'catchup="default" catchup-days="7" catchup-source="{catchup_source}"'
        lines += [f'#EXTINF:-1 tvg-id="{guide_id}" tvg-name="{name}" {archive},{name}', str(stream)]
    path.write_text("\n".join(lines) + "\n")


def guide(path, channels, programmes):
    """XMLTV of (guide id, name) and (guide id, start, end, title, categories), times in Unix seconds."""
    found = ['<?xml version="1.0" encoding="UTF-8"?>', '<!DOCTYPE tv SYSTEM "xmltv.dtd">', "<tv>"]
    for guide_id, name in channels:
        found.append(
            f"<channel id={quoteattr(guide_id)}><display-name>{escape(name)}</display-name></channel>"
        )
    for guide_id, start, end, title, categories in programmes:
        words = "".join(f"<category>{escape(word)}</category>" for word in categories)
        times = f'start="{_time(start)}" stop="{_time(end)}"'
        inner = f"<title>{escape(title)}</title>{words}"
        found.append(f"<programme {times} channel={quoteattr(guide_id)}>{inner}</programme>")
    path.write_text("\n".join([*found, "</tv>"]), encoding="utf-8")


def _time(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S +0000")


def _ffmpeg(words, path):
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *words.split(), str(path)]
    subprocess.run(command, check=True)
