import socket

import pytest

from mgdemo.serving.address import Address, AddressError


def test_the_url_is_one_for_a_browser_on_this_machine():
    assert Address("0.0.0.0", 80).url == "http://localhost:80"
    assert Address("127.0.0.1", 80).url == "http://127.0.0.1:80"
    assert Address("::1", 80).url == "http://[::1]:80"


def test_a_port_that_is_taken_is_named_with_the_cure():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match=f"Port {port} is taken by another program.*--port"):
            Address("127.0.0.1", port).check()
    Address("127.0.0.1", port).check()
    Address("127.0.0.1", None).check()


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_named(host):
    with pytest.raises(AddressError, match=f"{host} is not an address of this machine.*--host"):
        Address(host, 8080).check()


def test_a_port_of_administrators_is_named(monkeypatch):
    def refused(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(AddressError, match="Port 80 needs administrator rights"):
        Address("127.0.0.1", 80).check()
