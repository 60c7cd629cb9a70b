"""A node's TOML file: what it may say, and how a mistake is told."""

from dataclasses import replace

import pytest

from itermask.apps.node.config import Look, NodeConfig, Sender, example, read_config
from itermask.errors import InputError

SENDER = '[[sender]]\ntitle = "MR"\naddresses = ["10.0.0.5"]\n'


def read(folder, text):
    path = folder / "node.toml"
    path.write_text(text)
    return read_config(path)


def test_the_example_says_the_defaults(tmp_path):
    config = read(tmp_path, example())
    assert config == NodeConfig(tmp_path / "node", senders=(Sender("SCANNER", ("127.0.0.1",)),))


def test_everything_in_the_example_can_be_used(tmp_path):
    lines = [
        line.removeprefix("# ") if "=" in line or line.startswith("# [") else line for line in example().split("\n")
    ]
    config = read(tmp_path, "\n".join(lines))
    assert [each.title for each in config.destinations] == ["PACS"]
    assert config.destinations[0].send == ("segmentation", "report", "overlay", "summary page")
    assert config.watch.folder == tmp_path / "incoming"
    assert config.tls.key == tmp_path / "node.key"
    (rule,) = config.rules
    assert (rule.process, rule.name, rule.age, rule.matrix) == (False, "children", (0, 18), (64, 1024))
    assert config.look == Look(models={"T1w": "t1w-2mm"}, sequences={"brain sag": "T1w"})


def test_relative_paths_start_at_the_file(tmp_path):
    (tmp_path / "own").mkdir()
    config = read(tmp_path, 'folder = "a/b"\n' + SENDER + '[look.models]\nT1w = "own"\nFLAIR = "bundled"\n')
    assert config.folder == tmp_path / "a" / "b"
    assert config.look.models == {"T1w": str(tmp_path / "own"), "FLAIR": "bundled"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is nobody to receive from"),
        ("title = 5\n" + SENDER, "title must be a text in quotes, not 5"),
        ('title = "SEVENTEEN-LETTERS"\n' + SENDER, "title must be an AE title: 1 to 16 plain characters"),
        ('title = "A\\\\B"\n' + SENDER, "title must be an AE title"),
        ("port = 70000\n" + SENDER, "port must be a port below 65536, not 70000"),
        ("port = true\n" + SENDER, "port must be a whole number, not True"),
        ('address = "scanner"\n' + SENDER, "address must be an IP address"),
        ('colour = "red"\n' + SENDER, "unknown setting colour; known are"),
        ('[[senders]]\ntitle = "MR"\naddresses = ["10.0.0.5"]\n', "unknown setting senders; write each as [[sender]]"),
        (SENDER + "[complete]\nquite = 3\n", "[complete] unknown setting quite, did you mean quiet? known are"),
        (SENDER + "[complete]\nquiet = -1\n", "[complete] quiet must be 0 or more, not -1"),
        (SENDER + "[keep]\nquota_gb = 0\n", "[keep] quota_gb must be above 0, not 0"),
        (SENDER + "[keep]\nquota_gb = inf\n", "[keep] quota_gb must be above 0, not inf"),
        (SENDER + "[look]\ngamma = 1.0\nsensitivity = 2.0\n", "[look] has gamma and sensitivity; give one of them"),
        (SENDER + '[look]\ndevice = "tpu"\n', "[look] device must be one of auto, cpu"),
        (SENDER + "[look]\nseed = 1.5\n", "look.seed must be a whole number, not 1.5"),
        (SENDER + "[look.models]\nT1w = 5\n", "look.models must be a text in quotes, not {'T1w': 5}"),
        ("complete = 5\n" + SENDER, "complete must be a table of settings, not 5"),
        ("sender = 5\n", "sender must be written [[sender]]"),
        ('[[sender]]\ntitle = "MR"\n', "[[sender]] number 1: addresses is missing"),
        (
            '[[sender]]\ntitle = "MR"\naddresses = []\n',
            "[[sender]] number 1: addresses must be IP addresses or networks, not []",
        ),
        ('[[sender]]\ntitle = "MR"\naddresses = ["mr.local"]\n', "addresses must be IP addresses or networks"),
        (SENDER + '[[destination]]\ntitle = "P"\nhost = "h"\n', "[[destination]] number 1: port is missing"),
        (SENDER + '[[destination]]\ntitle = "P"\nhost = "h"\nport = 1\nsend = ["all"]\n', "send must be some of"),
        (SENDER + 2 * '[[destination]]\ntitle = "P"\nhost = "h"\nport = 1\n', "two destinations have the same title"),
        (SENDER + '[[destination]]\ntitle = "P"\nhost = "h"\nport = 1\ntls = true\n', "a destination wants TLS"),
        ('folder = "x"\n[watch]\nfolder = "x/in"\n', "the folder to [watch] lies in the node's own folder"),
        (SENDER + "[watch]\nfolder = 5\n", "watch.folder"),
        ("title = ", "not valid TOML"),
    ],
)
def test_mistakes_are_one_line_that_names_the_file(tmp_path, text, says):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "node.toml"))
    assert "\n" not in str(caught.value)


def test_a_missing_file_points_to_the_example(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read .*--example"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("addresses", "address", "may"),
    [
        (("10.0.0.5",), "10.0.0.5", True),
        (("10.0.0.5",), "10.0.0.6", False),
        (("10.0.0.0/24",), "10.0.0.77", True),
        (("10.0.0.0/24",), "10.0.1.77", False),
        (("10.0.0.5", "fd00::/8"), "fd12::1", True),
        (("10.0.0.5",), "::ffff:10.0.0.5", True),
        (("10.0.0.5",), "", False),
    ],
)
def test_where_a_sender_may_call_from(addresses, address, may):
    sender = Sender("MR", addresses)
    assert sender.calls_from(address) is may
    assert replace(sender, addresses=("0.0.0.0/0", "::/0")).calls_from(address) is bool(address)
