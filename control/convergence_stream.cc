#include "control/convergence_stream.h"

#include <memory>
#include <utility>

#include "control/codec.h"

namespace daxvmm::control {

ConvergenceStream* ConvergenceStream::Start(ConvergenceHub* hub, const absl::Status& admitted,
                                            const v1::WatchConvergenceRequest& request) {
  const std::shared_ptr<ConvergenceStream> stream(new ConvergenceStream(hub));
  stream->Keep(stream);
  if (!admitted.ok()) {
    stream->End(admitted);
    return stream.get();
  }
  auto command = DecodeWatch(request);
  absl::Status status = command.status();
  if (command.ok()) {
    status = hub->Add(stream, {.share_tag = std::move(command->share_tag),
                               .interval = command->interval,
                               .until_settled = command->until_settled});
  }
  if (!status.ok()) stream->End(status);
  return stream.get();
}

void ConvergenceStream::Encode(const ConvergenceCounts& counts, uint64_t, v1::WatchConvergenceResponse* message) {
  EncodeCounts(counts, message);
}

}  // namespace daxvmm::control
