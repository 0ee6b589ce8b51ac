"""Contract suites that come with the package: whoever writes an adapter holds it to the promises of its protocol.

```python
import pytest
from mainspring.testing import broker_contract

@pytest.mark.parametrize("check", broker_contract.checks(), ids=lambda check: check.__name__)
def test_my_broker(check, tmp_path):
    check(lambda: MyBroker(tmp_path))
```
"""

from mainspring.testing import broker_contract

__all__ = ["broker_contract"]
