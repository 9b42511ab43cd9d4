"""How does a page behave in a real browser? Opens it in a headless Chromium, over the pipe of its debugging
protocol.

Called by the tests of the report. It needs Debian's chromium and nothing else; executable() says whether that
is there.
"""
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


def executable():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page, opened and loaded; what it logged as an error is in `errors`, every address it asked for in
    `requests`."""

    def __init__(self, url="about:blank", timeout_s=120):
        self.timeout_s_ = timeout_s
        self.last_id_, self.rest_ = 0, b""
        self.profile_ = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.start_()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session_ = None
        self.session_ = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.call(f"{domain}.enable")
        size = {"width": 1280, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.open(url)

    def open(self, url):
        """Opens another page in its place: a browser takes a second to start."""
        self.errors, self.requests, self.loaded_ = [], [], False
        self.call("Page.navigate", url=url)
        self.wait_until_(lambda: self.loaded_, f"{url} does not load")

    def start_(self):
        to_browser, self.write_ = os.pipe()
        self.read_, from_browser = os.pipe()

        def place_pipes():  # the protocol reads descriptor 3 and writes 4
            spare = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        self.process_ = subprocess.Popen(
            [executable(), *flags, "--remote-debugging-pipe", f"--user-data-dir={self.profile_.name}"],
            preexec_fn=place_pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)

    def close(self):
        self.process_.terminate()
        self.process_.wait()
        os.close(self.write_)
        os.close(self.read_)
        self.profile_.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def evaluate(self, expression):
        """The value of a JavaScript expression (awaited when it is a promise)."""
        options = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression):
        """Waits until the expression is true."""
        self.wait_until_(lambda: self.evaluate(expression), f"never true: {expression}")

    def mouse(self, kind, x, y, **more):
        """A real mouse event in the window: mousePressed, mouseMoved, mouseReleased, mouseWheel."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector, nth=0):
        """A real click into the middle of an element."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{nth}]; "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, *box, button="left", clickCount=1)

    def call(self, method, **parameters):
        """One command of the protocol; returns its result."""
        self.last_id_ += 1
        message = {"id": self.last_id_, "method": method, "params": parameters}
        if getattr(self, "session_", None):
            message["sessionId"] = self.session_
        os.write(self.write_, json.dumps(message).encode() + b"\0")
        wanted = self.last_id_
        while True:
            answer = self.receive_()
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def wait_until_(self, condition, why):
        end = time.monotonic() + self.timeout_s_
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(why)
            if not self.loaded_:
                self.receive_()
            else:
                time.sleep(0.05)

    def receive_(self):
        while b"\0" not in self.rest_:
            if not select.select([self.read_], [], [], self.timeout_s_)[0]:
                raise AssertionError("the browser does not answer")
            chunk = os.read(self.read_, 1 << 16)
            if not chunk:
                raise AssertionError("the browser has ended")
            self.rest_ += chunk
        text, _, self.rest_ = self.rest_.partition(b"\0")
        message = json.loads(text)
        self.note_(message.get("method"), message.get("params", {}))
        return message

    def note_(self, event, facts):
        if event == "Page.loadEventFired":
            self.loaded_ = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(facts["exceptionDetails"].get("exception", {}).get("description", str(facts)))
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning", "assert"):
            self.errors.append(str(facts["args"]))
        elif event == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.errors.append(facts["entry"]["text"])
