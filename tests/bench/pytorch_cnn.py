"""The CNN of training_bench.cpp in PyTorch, one thread: images per CPU-second as JSON on stdout, or
what is missing. Usage: pytorch_cnn.py [IMAGES]."""
import json
import statistics
import sys
import time

try:
    import torch
except ImportError:
    print(json.dumps({"skipped": "python3-torch is not installed"}))
    sys.exit(0)


def main():
    rows, batch = int(sys.argv[1]) if len(sys.argv) > 1 else 1024, 32
    torch.set_num_threads(1)
    torch.manual_seed(1)
    inputs, labels = torch.rand(rows, 1, 28, 28), torch.randint(10, (rows,))
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(64 * 49, 128), torch.nn.ReLU(),
        torch.nn.Linear(128, 10))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    rates = []
    for epoch in range(6):
        begin = time.process_time()
        for chosen in torch.randperm(rows).split(batch):
            optimiser.zero_grad()
            loss = loss_of(net(inputs[chosen]), labels[chosen])
            loss.backward()
            loss.item()
            optimiser.step()
        if epoch > 0:
            rates.append(rows / (time.process_time() - begin))
    maps = open("/proc/self/maps").read()
    print(json.dumps({"version": torch.__version__, "openblas": "openblas" in maps,
                      "images_per_cpu_second": statistics.median(rates)}))


main()
