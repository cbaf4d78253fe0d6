"""A TCP proxy that loses answers: what a client sent has reached the server, the
answer does not come back, and the connection breaks."""

import asyncio
import random
import threading

from tests.show.service import free_port


class CuttingProxy:
    """Forwards connections to `target`. Every answer is, with probability
    `share`, swallowed and its connection reset."""

    def __init__(self, target, share, seed):
        self.target = target.split(":")
        self.share = share
        self.random = random.Random(seed)
        self.cuts = 0
        self.connections = 0
        self.address = f"127.0.0.1:{free_port()}"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()

    def __enter__(self):
        self.thread.start()
        self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._end)
        self.thread.join(10)

    def _end(self):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_soon(self.loop.stop)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        host, port = self.address.split(":")
        self.loop.run_until_complete(asyncio.start_server(self._serve, host, int(port)))
        self.ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(self.target[0],
                                                                   int(self.target[1]))
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, far_writer)
        pumps = [asyncio.ensure_future(self._pump(reader, far_writer, ends, may_cut=False)),
                 asyncio.ensure_future(self._pump(far_reader, writer, ends, may_cut=True))]
        await asyncio.wait(pumps)

    async def _pump(self, source, sink, ends, may_cut):
        answers = 0
        try:
            while chunk := await source.read(1 << 16):
                answers += 1
                # The first chunks are the protocol's greetings, not answers.
                if may_cut and answers > 3 and self.random.random() < self.share:
                    self.cuts += 1
                    break
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        for end in ends:
            end.transport.abort()
