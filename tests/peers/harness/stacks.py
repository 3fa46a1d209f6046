"""The stacks of the lab: how to start each server and run each client.

{port} {style} {wsdl} {url} {mode} are filled in; a command is run from this
folder's parent.
"""
import os, subprocess
LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PY = ".venv/bin/python"

# name: (styles, command, environment, url path)
SERVERS = {
    "soaplite": ("rpc doc", "perl servers/soaplite.pl {style} {port} {wsdl}", {}, "/soap/"),
    "soaplite-defaultns": ("rpc", "perl servers/soaplite.pl {style} {port} {wsdl}", {"LAB_NS": "default"}, "/soap/"),
    "soaplite-auto": ("rpc", "perl servers/soaplite.pl {style} {port} {wsdl}", {"LAB_AUTO": "1"}, "/soap/"),
    "soaplite-starman": ("rpc", "starman -E deployment --workers 3 --listen 127.0.0.1:{port} servers/soaplite.psgi",
                         {"LAB_STYLE": "{style}", "LAB_WSDL": "{wsdl}"}, "/soap/"),
    "php": ("rpc doc doc12", "php -S 127.0.0.1:{port} servers/php_server.php",
            {"LAB_STYLE": "{style}", "LAB_WSDL": "{wsdl}", "PHP_CLI_SERVER_WORKERS": "3"}, "/soap/"),
    "node-soap": ("rpc doc", "node servers/node_server.js {style} {port} {wsdl}", {}, "/soap/"),
    "strong-soap": ("rpc doc", "node servers/node_server.js {style} {port} {wsdl}", {"LAB_NODE": "strong-soap"}, "/soap/"),
}
# a PortaBilling with a memory, which doesn't keep the lab's contract
PORTABILLING = {"portabilling": ("rpc", "perl servers/portabilling.pl {port} {wsdl}", {}, "")}
CLIENTS = {
    "soaplite": ("rpc doc", "perl clients/soaplite_client.pl {mode} {style} {wsdl} {url}", {}),
    "php": ("rpc doc", "php clients/php_client.php {mode} {style} {wsdl} {url}", {}),
    "zeep": ("rpc doc", PY + " clients/zeep_client.py {mode} {style} {wsdl} {url}", {}),
    "node-soap": ("rpc doc", "node clients/node_client.js {mode} {style} {wsdl} {url}", {}),
    "strong-soap": ("rpc doc", "node clients/node_client.js {mode} {style} {wsdl} {url}", {"LAB_NODE": "strong-soap"}),
}

NODE = ["node", "-e", "require(process.argv[1])"]
# name: a command that succeeds where the stack is installed
PROBES = {
    "soaplite": ["perl", "-e", "require SOAP::Lite; require HTTP::Daemon; require JSON::PP"],
    "soaplite-defaultns": ["perl", "-e", "require SOAP::Lite; require HTTP::Daemon; require JSON::PP"],
    "soaplite-auto": ["perl", "-e", "require SOAP::Lite; require HTTP::Daemon; require JSON::PP"],
    "soaplite-starman": ["perl", "-e", "require SOAP::Lite; require Plack; require Starman"],
    "php": ["php", "-r", 'exit(extension_loaded("soap") ? 0 : 1);'],
    "zeep": [PY, "-c", "import zeep"],
    "node-soap": [*NODE, "soap"],
    "strong-soap": [*NODE, "strong-soap"],
}


def installed(name):
    try:
        return subprocess.run(PROBES[name], cwd=LAB, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
