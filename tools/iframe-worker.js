// Browsers refuse workers to pages that are opened as files: there the search runs in a hidden frame.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(url) {
    super();
    this.waiting = [];
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.srcdoc = `<script>postMessage = parent.postMessage.bind(parent)<\/script><script src="${url}"><\/script>`;
    addEventListener("message", (event) => {
      if (event.source !== frame.contentWindow && event.source !== window) return;
      const answer = new MessageEvent("message", {data: event.data});
      this.dispatchEvent(answer);
      if (this.onmessage) this.onmessage(answer);
    });
    frame.onload = () => { this.ready = true; this.waiting.forEach((data) => this.postMessage(data)); };
    document.documentElement.appendChild(frame);
    this.frame = frame;
  }
  postMessage(data) {
    if (!this.ready) return this.waiting.push(data);
    this.frame.contentWindow.dispatchEvent(new MessageEvent("message", {data}));
  }
  terminate() { this.frame.remove(); }
};
