"""The README's Python block, given on standard input, without the openai package, which the tests do not install: sends the request that its one call
describes to OPENAI_BASE_URL, and prints of the answer what the block prints."""
import ast, json, os, sys, urllib.request
from types import SimpleNamespace

block = ast.parse(sys.stdin.read())
imported, call, printed = block.body
assert ast.unparse(imported) == "from openai import OpenAI" and ast.unparse(call.value.func) == "OpenAI().chat.completions.create"
body = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.value.keywords}
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]})
with urllib.request.urlopen(request) as response:
    answer = json.load(response, object_hook=lambda fields: SimpleNamespace(**fields))
exec(compile(ast.Module([printed], []), "README.md", "exec"), {ast.unparse(call.targets[0]): answer})
