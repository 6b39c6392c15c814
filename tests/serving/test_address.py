import socket

import pytest

from mgdemo.serving.address import Address, AddressError


def test_flags_come_before_variables_and_those_before_the_default():
    both = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8080"}
    assert Address.choose(environment={}) == Address("127.0.0.1", None)
    assert Address.choose(environment=both) == Address("0.0.0.0", 8080)
    assert Address.choose("::1", 9000, both) == Address("::1", 9000)


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1", "8080x"])
def test_a_port_that_is_none_is_named(port):
    with pytest.raises(AddressError, match=f"^{port} is not a port: .*GRADIO_SERVER_PORT"):
        Address.choose(environment={"GRADIO_SERVER_PORT": port})


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
