"""What a front end may expect of a kernel, message by message, asked by Jupyter's own client."""

import sys
import time
import unittest

from jupyter_client.manager import start_new_kernel

KERNEL = sys.argv.pop(1)
PATIENCE = 120


class Conformance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.manager, cls.client = start_new_kernel(kernel_name=KERNEL, startup_timeout=PATIENCE)

    @classmethod
    def tearDownClass(cls):
        cls.client.stop_channels()
        cls.manager.shutdown_kernel(now=True)

    def reply(self, message_id):
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == message_id:
                return message

    def outputs(self, message_id):
        found = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    return found
            else:
                found.append(message)

    def run_cell(self, code, **options):
        message_id = self.client.execute(code, **options)
        return self.reply(message_id)["content"], self.outputs(message_id)

    def only(self, outputs, kind):
        found = [output["content"] for output in outputs if output["msg_type"] == kind]
        self.assertEqual(len(found), 1, outputs)
        return found[0]

    def stream(self, outputs, name):
        return "".join(output["content"]["text"] for output in outputs if output["msg_type"] == "stream" and output["content"]["name"] == name)

    def test_language_info(self):
        info = self.reply(self.client.kernel_info())["content"]
        self.assertEqual(info["status"], "ok")
        self.assertGreaterEqual([int(part) for part in info["protocol_version"].split(".")], [5, 3])
        self.assertTrue(info["implementation"] and info["implementation_version"] and info["banner"])
        language = info["language_info"]
        self.assertEqual((language["name"], language["file_extension"], language["mimetype"]), ("C#", ".cs", "text/x-csharp"))
        self.assertRegex(language["version"], r"^\d+\.\d+$")

    def test_stdout(self):
        reply, outputs = self.run_cell('Console.WriteLine("hello, world");')
        self.assertEqual(reply["status"], "ok")
        self.assertEqual(self.stream(outputs, "stdout"), "hello, world\n")
        self.assertEqual(self.only(outputs, "execute_input")["code"], 'Console.WriteLine("hello, world");')

    def test_stderr(self):
        _, outputs = self.run_cell('Console.Error.WriteLine("oops");')
        self.assertEqual(self.stream(outputs, "stderr"), "oops\n")

    def test_results(self):
        for code, text in [("1 + 2", "3"), ('"a" + "b"', "ab"), ("new[] { 1, 2 }", "[ 1, 2 ]"), ("var x = 4;\nx * x", "16")]:
            with self.subTest(code=code):
                reply, outputs = self.run_cell(code)
                result = self.only(outputs, "execute_result")
                self.assertEqual(result["data"]["text/plain"], text)
                self.assertEqual(result["execution_count"], reply["execution_count"])
                self.assertIsInstance(result["metadata"], dict)

    def test_rich_display(self):
        pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        for code, kind, part in [
            ('display(HTML("<b>bold</b>"));', "text/html", "<b>bold</b>"),
            ('"# title".DisplayAs("text/markdown");', "text/markdown", "# title"),
            (f'"{pixel}".DisplayAs("image/png");', "image/png", pixel),
            ('#!html\n<i>slanted</i>', "text/html", "<i>slanted</i>"),
            ('#!markdown\n*slanted*', "text/markdown", "*slanted*"),
            ('#r "XPlot.Plotly"\ndisplay(XPlot.Plotly.Chart.Plot(new XPlot.Plotly.Bar { y = new[] { 1, 2 } }));', "text/html", "Plotly.newPlot"),
        ]:
            with self.subTest(code=code):
                reply, outputs = self.run_cell(code)
                self.assertEqual(reply["status"], "ok", reply)
                shown = [output["content"]["data"].get(kind, "") for output in outputs if output["msg_type"] == "display_data"]
                self.assertIn(part, shown[-1])

    def test_update_display(self):
        _, outputs = self.run_cell('var shown = display("one");\nshown.Update("two");')
        first, second = self.only(outputs, "display_data"), self.only(outputs, "update_display_data")
        self.assertEqual((first["data"]["text/plain"], second["data"]["text/plain"]), ("one", "two"))
        self.assertEqual(first["transient"]["display_id"], second["transient"]["display_id"])

    def test_completion(self):
        self.run_cell("var kernelTest = new List<int>();")
        for text, cursor, expected in [
            ("Console.Wri", None, {"Write", "WriteLine"}),
            ("kernelTe", None, {"kernelTest"}),
            ("kernelTest.Ad", None, {"Add", "AddRange"}),
            ("Math.Sq + 1", 7, {"Sqrt"}),
            ("var s = \"\U0001f600\"; s.Leng", None, {"Length"}),
        ]:
            with self.subTest(text=text):
                content = self.reply(self.client.complete(text, cursor_pos=cursor))["content"]
                self.assertEqual(content["status"], "ok")
                self.assertLessEqual(expected, set(content["matches"]))
                start, end = content["cursor_start"], content["cursor_end"]
                self.assertEqual(end, len(text) if cursor is None else cursor)
                self.assertTrue(all(match.lower().startswith(text[start:end].lower()) for match in content["matches"]))

    def test_is_complete(self):
        for status, samples in {
            "complete": ["1 + 1", "var a = 1;", "", "if (true) { }", "// note", "#!time\n1 + 1", "#!html\n<b>"],
            "incomplete": ["if (true) {", "int F(int x) =>", "var a = ", "new[] { 1,", "/* open", "#!time\nif (true) {"],
            "invalid": ["1 + + ; )", "int 3x = 1;", "}", "#!nothing\n1"],
        }.items():
            for code in samples:
                with self.subTest(code=code):
                    content = self.reply(self.client.is_complete(code))["content"]
                    self.assertEqual(content["status"], status)
                    if status == "incomplete":
                        self.assertEqual(content["indent"].strip(), "")

    def test_errors(self):
        for code, name, part in [
            ('throw new InvalidOperationException("bad thing");', "InvalidOperationException", "bad thing"),
            ("var a = 1;\nthis does not compile", "CompilationError", "(2,"),
            ("int zero = 0;\n\n_ = 1 / zero;", "DivideByZeroException", "line 3"),
        ]:
            with self.subTest(code=code):
                reply, outputs = self.run_cell(code)
                self.assertEqual((reply["status"], reply["ename"]), ("error", name))
                self.assertIn(part, "\n".join(reply["traceback"]))
                error = self.only(outputs, "error")
                self.assertEqual((error["ename"], error["evalue"]), (reply["ename"], reply["evalue"]))
        self.assertEqual(self.run_cell("1")[0]["status"], "ok")

    def test_history(self):
        codes = ["1 + 10", "2 + 20", "3 + 30"]
        numbers = [self.run_cell(code)[0]["execution_count"] for code in codes]
        tail = self.reply(self.client.history(hist_access_type="tail", n=3, output=False))["content"]["history"]
        self.assertEqual([entry[1:] for entry in tail], [list(pair) for pair in zip(numbers, codes)])
        tail = self.reply(self.client.history(hist_access_type="tail", n=3, output=True))["content"]["history"]
        self.assertEqual([entry[2] for entry in tail], [[code, result] for code, result in zip(codes, ["11", "22", "33"])])
        part = self.reply(self.client.history(hist_access_type="range", session=0, start=numbers[0], stop=numbers[1]))["content"]["history"]
        self.assertEqual([entry[2] for entry in part], codes[:1])
        found = self.reply(self.client.history(hist_access_type="search", pattern="?? 20", n=5))["content"]["history"]
        self.assertEqual(found, [])
        found = self.reply(self.client.history(hist_access_type="search", pattern="2 + *", n=5))["content"]["history"]
        self.assertIn("2 + 20", [entry[2] for entry in found])

    def test_silence(self):
        before = self.run_cell("0")[0]["execution_count"]
        reply, outputs = self.run_cell("7", silent=True)
        self.assertEqual((reply["status"], reply["execution_count"], outputs), ("ok", before, []))
        reply, _ = self.run_cell("8", store_history=False)
        self.assertEqual(reply["execution_count"], before)

    def test_user_expressions(self):
        reply, _ = self.run_cell("var y = 5;", user_expressions={"sum": "y + 1", "bad": "nothing"})
        self.assertEqual(reply["user_expressions"]["sum"]["data"]["text/plain"], "6")
        self.assertEqual(reply["user_expressions"]["bad"]["status"], "error")

    def test_inspect(self):
        for code, cursor, part in [("Console.WriteLine", None, "WriteLine"), ("Math.Max(1, 2)", 7, "Max("), ("var text = \"\";\ntext.Length", None, "Length")]:
            with self.subTest(code=code):
                content = self.reply(self.client.inspect(code, cursor_pos=cursor))["content"]
                self.assertEqual((content["status"], content["found"]), ("ok", True))
                self.assertIn(part, content["data"]["text/plain"])
        content = self.reply(self.client.inspect("nothingOfThisName"))["content"]
        self.assertEqual((content["status"], content["found"], content["data"]), ("ok", False, {}))

    def test_comm_info(self):
        self.assertEqual(self.reply(self.client.comm_info())["content"]["comms"], {})

    def test_input(self):
        message_id = self.client.execute('Console.Write("Name? "); Console.ReadLine()', allow_stdin=True)
        question = self.client.get_stdin_msg(timeout=PATIENCE)
        self.assertEqual(question["msg_type"], "input_request")
        self.client.input("Ada")
        self.assertEqual(self.reply(message_id)["content"]["status"], "ok")
        self.assertEqual(self.only(self.outputs(message_id), "execute_result")["data"]["text/plain"], "Ada")

    def test_interrupt(self):
        for code in ["while (true) { }", "Thread.Sleep(600_000);", "await Task.Delay(600_000);"]:
            with self.subTest(code=code):
                self.run_cell("using System.Threading;\nvar survivor = 9;")
                message_id = self.client.execute('Console.WriteLine("started");\n' + code)
                while self.client.get_iopub_msg(timeout=PATIENCE)["msg_type"] != "stream":
                    pass
                self.manager.interrupt_kernel()
                reply = self.reply(message_id)["content"]
                self.assertEqual((reply["status"], reply["ename"]), ("error", "Interrupted"))
                self.outputs(message_id)
                self.assertEqual(self.only(self.run_cell("survivor")[1], "execute_result")["data"]["text/plain"], "9")

    def test_restart_and_shutdown(self):
        manager, client = start_new_kernel(kernel_name=KERNEL, startup_timeout=PATIENCE)
        try:
            client.execute_interactive("var gone = 1;", timeout=PATIENCE)
            manager.restart_kernel()
            client.wait_for_ready(timeout=PATIENCE)
            self.assertEqual(client.execute_interactive("gone", timeout=PATIENCE, output_hook=lambda message: None)["content"]["status"], "error")
            client.shutdown()
            for _ in range(300):
                if not manager.is_alive():
                    break
                time.sleep(0.1)
            self.assertFalse(manager.is_alive())
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
