// A gRPC client of another implementation, for TestGRPCJS. It speaks as
// test/planes/grpc/peer/peer.py does: a line of JSON in for each call, a line out.
// Its argument is the directory whose node_modules hold grpc-js.
const path = require("node:path");
const readline = require("node:readline");

const modules = path.join(process.argv[2], "node_modules", "@grpc");
const grpc = require(path.join(modules, "grpc-js"));
require(path.join(modules, "grpc-js-xds")).register();

const channels = new Map();

function client(target) {
  if (!channels.has(target)) {
    channels.set(target, new grpc.Client(target, grpc.credentials.createInsecure()));
  }
  return channels.get(target);
}

const same = (bytes) => bytes;

function call(request, done) {
  const deadline = new Date(Date.now() + 5000);
  client(request.target).makeUnaryRequest(request.method, same, same, Buffer.alloc(0), new grpc.Metadata(), { deadline }, (error, body) => {
    done({
      code: grpc.status[error ? error.code : grpc.status.OK],
      message: error ? error.details : "",
      body: body ? body.toString("base64") : "",
    });
  });
}

console.log(JSON.stringify({ version: require(path.join(modules, "grpc-js", "package.json")).version }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  call(JSON.parse(line), (answer) => console.log(JSON.stringify(answer)));
});
