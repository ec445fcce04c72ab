"""The MQTT client of the product: it connects through the one door of outgoing calls, at first and again."""

from socket import socket

import paho.mqtt.client as mqtt

from twin import outgoing

CONNECT_S = 10.0

__all__ = ["Client", "mqtt"]


class Client(mqtt.Client):
    """Connects through the one door of outgoing calls, at first and again."""

    tls = False
    refusal = ""

    def _create_socket_connection(self) -> socket:
        try:
            found = outgoing.connect(self._host, self._port, tls=self.tls, timeout_s=CONNECT_S)
        except outgoing.CallRefused as error:
            self.refusal = str(error)
            raise ConnectionRefusedError(str(error)) from error
        self.refusal = ""
        return found
