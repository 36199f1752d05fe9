"""Long-term memory by RecallrAI for LangChain and LlamaIndex."""
