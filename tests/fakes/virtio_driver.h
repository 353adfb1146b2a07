// The driver's side of a virtio device for tests without a guest (ring 2): guest memory, rings that are laid out and
// filled as Linux does it, or broken on purpose, and the register walk of Linux' virtio_mmio.
//
//   GuestRam ram;
//   auto transport = *virtio::MmioTransport::Create(&device, &ram.memory(), &line);   // line: FakeInterruptLine
//   MmioDriver driver(transport.get(), &ram, &line.signal());
//   ASSERT_TRUE(driver.Probe({}).ok());
//   std::optional<Completion> reply = driver.Run(1, {.out = BytesOf(header), .in_sizes = {16, 4096}});
//
// or, below the registers:
//
//   DriverQueue driver(&ram, {.size = 64});
//   auto queue = *virtio::Virtqueue::Create(driver.config(), &ram.memory());
//   driver.Add({.out = ..., .in_sizes = {...}});
//   driver.Publish();
#ifndef DAXVMM_TESTS_FAKES_VIRTIO_DRIVER_H_
#define DAXVMM_TESTS_FAKES_VIRTIO_DRIVER_H_

#include "tests/fakes/driver_queue.h"
#include "tests/fakes/guest_ram.h"
#include "tests/fakes/mmio_driver.h"
#include "tests/fakes/ring_break.h"
#include "tests/fakes/signals.h"

#endif  // DAXVMM_TESTS_FAKES_VIRTIO_DRIVER_H_
