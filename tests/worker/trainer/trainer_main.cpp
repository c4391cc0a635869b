// Besides running the tests, this program plays the other processes that they need:
//   --as-trainer KIND   a trainer without LibTorch; KIND says what is wrong with it
//   --as-worker         a worker that prints its trainer's process id and waits to be killed
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/crypto/keys.h"
#include "worker/trainer/frame.h"
#include "worker/trainer/serve.h"
#include "worker/trainer/supervisor.h"

namespace fedmesh::trainer {
namespace {

[[noreturn]] void wait_for_ever() {
  while (true) ::pause();
}

void print(const Bytes& bytes) {
  if (::write(1, bytes.data(), bytes.size()) < 0) std::abort();
}

// Does what the body of a train request says; the other tasks as they should be.
class ObedientExecutor final : public KernelExecutor {
 protected:
  Result<Bytes> execute(const Request& request, const OnProgress& on_progress) override {
    if (request.kind != TaskKind::train) return KernelExecutor::execute(request, on_progress);
    const std::string order(as_text(request.body));
    if (order == "abort") {
      std::fputs("first line\nout of paper\n", stderr);
      std::abort();
    }
    if (order == "exit") std::_Exit(3);
    if (order == "garbage") print(Bytes(64, 0xff));
    if (order == "foreign") print(*frame_of(success(request.id + 1, {})));
    for (std::uint64_t i = 0; order == "work"; ++i) {
      on_progress(i, 0);
      ::usleep(1000);
    }
    wait_for_ever();
  }
};

int trainer(const std::string& kind) {
  if (kind == "dead") {
    std::fputs("no licence found\n", stderr);
    return 3;
  }
  if (kind == "mute") wait_for_ever();
  if (kind == "babbling") {
    print(Bytes(16, 'x'));
    wait_for_ever();
  }
  Ready ready{.protocol = kProtocolVersion, .engine = "test", .blas = {}, .devices = {"cpu"}};
  if (kind == "outdated") ready.protocol = 99;
  if (kind == "deaf") {
    print(*frame_of(ready));
    ::close(0);
    wait_for_ever();
  }
  ObedientExecutor executor;
  const auto served = serve(0, 1, ready, executor);
  if (!served.ok()) std::fprintf(stderr, "%s\n", served.error().detail.c_str());
  return served.ok() ? 0 : 1;
}

// The process id is printed once the trainer runs: before, it may still be a copy of the worker
// that has not asked to die with it, and ends by itself when it notices. The trainer does not read
// its stdin, so that it does not end because that ends.
int worker(const std::string& self) {
  std::string process;
  auto supervisor = Supervisor::create(
      {.command = {self, "--as-trainer", "deaf"}, .start_at_once = true},
      {.on_response = {}, .on_progress = {}, .on_event = [&process](const TrainerEvent& event) {
         if (event.kind == TrainerEvent::Kind::started) process = event.detail;
         if (event.kind != TrainerEvent::Kind::ready) return;
         std::printf("%s\n", process.c_str());
         std::fflush(stdout);
       }});
  wait_for_ever();
}

}  // namespace
}  // namespace fedmesh::trainer

int main(int argc, char** argv) {
  fedmesh::crypto::initialise();
  if (argc == 3 && std::string(argv[1]) == "--as-trainer")
    return fedmesh::trainer::trainer(argv[2]);
  if (argc == 2 && std::string(argv[1]) == "--as-worker") return fedmesh::trainer::worker(argv[0]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
