"""deploy/kubernetes, between its pods: Kafka, the door, who watches, and what may reach what."""

from datetime import timedelta

from services.gateway.door.agencies import HEARTBEAT_SECONDS
from tests.repo import rendered
from tests.repo.rendered import OURS, each_overlay, labels, loaded, of_kind, pods, ports, with_kubectl

pytestmark = with_kubectl


@each_overlay
def test_kafka_listens_where_services_ask_keeps_what_they_write_and_lets_nobody_in_unasked(overlay: str) -> None:
    ((name, kafka),) = of_kind(overlay, "Kafka").items()
    ((_, pool),) = of_kind(overlay, "KafkaNodePool").items()
    asked, config = loaded(overlay, "windows").kafka, kafka["spec"]["kafka"]["config"]
    listeners = {each["name"]: each for each in kafka["spec"]["kafka"]["listeners"]}
    assert asked.bootstrap_servers == f"{name}-kafka-bootstrap:{listeners['services']['port']}"
    assert all(each["tls"] and each["authentication"] == {"type": "scram-sha-512"} for each in listeners.values())
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    kept = {value for setting, value in config.items() if setting.endswith("replication.factor")}
    assert kept == {asked.replication_factor}
    assert pool["spec"]["replicas"] == asked.replication_factor
    least = max(1, asked.replication_factor - 1)
    assert (config["min.insync.replicas"], config["transaction.state.log.min.isr"]) == (least, least)
    assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in of_kind(overlay, "KafkaTopic").values()} == {
        name
    }


@each_overlay
def test_the_door_is_reached_through_its_service_under_the_address_that_links_begin_with(overlay: str) -> None:
    (ingress,) = of_kind(overlay, "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = of_kind(overlay, "Service")[backend["name"]]["spec"]
    (port,) = [each for each in service["ports"] if each["name"] == backend["port"]["name"]]
    door = pods(overlay)["door"]
    assert rendered.selected(labels(door), service["selector"])
    found = loaded(overlay, "door").door
    assert ports(door)[port["targetPort"]] == found.port
    assert found.behind_proxy
    assert found.address == loaded(overlay, "deliveries").door.address == f"https://{rule['host']}"
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert timedelta(seconds=HEARTBEAT_SECONDS) < timedelta(minutes=1)  # the time-out that door.yaml asks for


@each_overlay
def test_prometheus_finds_every_pod_at_the_port_of_its_metrics(overlay: str) -> None:
    (monitor,) = of_kind(overlay, "ServiceMonitor").values()
    chosen = [
        each["spec"]
        for each in of_kind(overlay, "Service").values()
        if rendered.selected(each["metadata"]["labels"], monitor["spec"]["selector"]["matchLabels"])
    ]
    (service,), (endpoint,) = chosen, monitor["spec"]["endpoints"]
    (port,) = [each for each in service["ports"] if each["name"] == endpoint["port"]]
    for name in OURS:
        assert rendered.selected(labels(pods(overlay)[name]), service["selector"])
        assert ports(pods(overlay)[name])[port["targetPort"]] == port["port"]
    assert service["clusterIP"] == "None"
    assert endpoint["path"] == "/metrics"


def allowed(overlay: str, name: str, direction: str) -> set[object]:
    """The ports that policies let a pod take (`ingress`) or reach (`egress`)."""
    pod = labels(pods(overlay)[name])
    return {
        port["port"]
        for policy in of_kind(overlay, "NetworkPolicy").values()
        if rendered.selected(pod, policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"].get(direction, ())
        for port in rule["ports"]
    }


@each_overlay
def test_pods_reach_and_are_reached_at_what_they_need_and_nothing_else(overlay: str) -> None:
    everything = of_kind(overlay, "NetworkPolicy")["herald-nothing-else"]["spec"]
    assert everything.keys() == {"podSelector", "policyTypes"}
    assert everything["policyTypes"] == ["Ingress", "Egress"]
    kafka = int(loaded(overlay, "windows").kafka.bootstrap_servers.rpartition(":")[2])
    out = {"door": {443, 5432}, "deliveries": {443, 465, 587}}
    for name, pod in pods(overlay).items():
        assert rendered.selected(labels(pod), everything["podSelector"]["matchLabels"])
        assert allowed(overlay, name, "egress") == {53, kafka} | out.get(name, set())
        taken = {"health", "http"} if name == "door" else {"health"}
        assert allowed(overlay, name, "ingress") == taken
        assert name == "herald-provision" or taken == set(ports(pod))
